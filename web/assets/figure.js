// A transaction's diagram beside something else: small, without controls, and growing while the transaction goes on.

import { get } from "./api.js";
import { h, replace, s } from "./dom.js";
import { draw } from "./draw.js";
import { eachFrame } from "./emitter.js";
import { txLink } from "./list.js";

const ROOM = 400;

/** The figure of transaction `id`. `ends` is told how to stop it. */
export function figure(app, id, ends) {
  const svg = s("svg", { class: "diagram", role: "img", "aria-label": "Sequence diagram of the transaction" });
  const paper = h("div", { class: "paper" }, svg);
  const caption = h("figcaption", { class: "small soft" }, "What happened, step by step: ", txLink(id));
  const element = h("figure", { class: "card stack figure" }, caption, paper);

  const redraw = eachFrame(() => {
    const transaction = app.memory.transactions.get(id);
    if (!transaction || !element.isConnected) return;
    draw(svg, { events: transaction.story(), nodes: app.nodes(), states: app.states(), width: Math.max(300, paper.clientWidth - 2), room: ROOM, cursor: null, chosen: () => { location.hash = `#/tx/${id}`; } });
  });
  ends.push(app.memory.on("transaction", (transaction) => transaction.id === id && redraw()));
  redraw();

  get(`/v1/transactions/${encodeURIComponent(id)}/receipt`).then((receipt) => {
    const transaction = app.memory.transaction(id);
    (receipt.events ?? []).forEach((event) => transaction.add({ ...event, txn: id }));
    redraw();
  }).catch(() => replace(caption, "What happened is told by the verdict alone: the servers no longer remember the steps."));
  return element;
}
