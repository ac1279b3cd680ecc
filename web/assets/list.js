// The list of recent transactions: newest first, each with what it moved and how it ended.

import { h, icon, mark, replace, settle } from "./dom.js";
import { legs, short, span } from "./format.js";

const SHOWN_MAX = 60;

export class TransactionList {
  #app;
  #items = h("ul", { class: "tx-items" });
  #note = h("p", { class: "small soft sampling" });
  #follow;
  #rows = new Map();
  #following;

  constructor(app, { follow, following }) {
    this.#app = app;
    this.#following = following;
    this.#follow = h("input", { type: "checkbox", checked: true, on: { change: () => follow(this.#follow.checked) } });
    this.element = h("section", { class: "card tx-list", "aria-label": "Recent transactions" },
      h("div", { class: "row" }, h("h2", {}, "Transactions"), h("label", { class: "check small push" }, this.#follow, "follow")),
      this.#note, this.#items);
  }

  /** Draws the list; `chosen` is the id that is looked at. */
  draw(chosen) {
    this.#follow.checked = this.#following();
    const { every, dropped } = this.#app.memory.sampling;
    const parts = [];
    if (every > 1) parts.push(`1 in ${every} shown`);
    if (dropped > 0) parts.push(`${dropped} dropped`);
    this.#note.textContent = parts.join(", ");
    this.#note.hidden = parts.length === 0;

    const began = (transaction) => transaction.events[0]?.at_us ?? Infinity;
    const newest = [...this.#app.memory.transactions.values()].sort((one, other) => began(other) - began(one)).slice(0, SHOWN_MAX);
    const rows = new Map();
    for (const transaction of newest) {
      const row = this.#rows.get(transaction.id) ?? new Row(transaction);
      row.draw(transaction, transaction.id === chosen);
      rows.set(transaction.id, row);
    }
    this.#rows = rows;
    if (rows.size === 0) replace(this.#items, h("li", { class: "empty small" }, "Nothing has happened yet. Press one of the buttons above."));
    else settle(this.#items, [...rows.values()].map((row) => row.element));
  }
}

class Row {
  #state = "";
  #outcome = h("span");
  #what = h("span", { class: "tx-legs" });
  #time = h("span", { class: "soft small" });
  #link;

  constructor(transaction) {
    this.#link = h("a", { href: `#/tx/${transaction.id}`, title: transaction.id },
      h("span", { class: "row" }, this.#outcome, h("span", { class: "mono small push" }, short(transaction.id)), this.#time), this.#what);
    this.element = h("li", {}, this.#link);
  }

  draw(transaction, chosen) {
    if (chosen) this.#link.setAttribute("aria-current", "true");
    else this.#link.removeAttribute("aria-current");
    const sum = transaction.summary();
    const state = `${sum.outcome} ${sum.doubt.size} ${sum.legs.length} ${sum.answered}`;
    if (state === this.#state) return;
    this.#state = state;
    replace(this.#outcome, ending(sum));
    this.#what.textContent = legs(sum.legs) || "…";
    this.#time.textContent = sum.answered ? span(sum.answered - sum.began) : "";
  }
}

/** How a transaction stands, as a word with a mark. */
export function ending(sum) {
  if (sum.outcome === "committed") return mark("good", "check", "committed");
  if (sum.outcome === "aborted") return mark("bad", "cross", "aborted");
  if (sum.doubt.size > 0) return mark("wait", "lock", "in doubt");
  return mark("idle", "dots", "open");
}

/** The same for an outcome word that the server gave. */
export function outcomeMark(outcome) {
  if (outcome === "committed" || outcome === "ok") return mark("good", "check", outcome);
  if (outcome === "aborted") return mark("bad", "cross", outcome);
  return mark("wait", "ask", outcome ?? "unknown");
}

/** A link to a transaction's diagram. */
export function txLink(id, text = short(id)) {
  return h("a", { class: "mono tx-link", href: `#/tx/${id}`, title: `Show ${id} as it happened` }, icon("live"), text);
}
