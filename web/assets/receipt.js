// The receipt of a transaction: everything that happened to one id, in the order in which a person asks.

import { h, icon, mark, replace } from "./dom.js";
import { clock, delta, shortIds, span } from "./format.js";
import { ending, txLink } from "./list.js";
import { because, name } from "./words.js";

export class Receipt {
  #body = h("div", { class: "stack receipt-body" });
  #app;
  #drawn = "";

  constructor(app) {
    this.#app = app;
    this.element = h("section", { class: "card receipt", "aria-label": "Receipt" }, h("h2", {}, "Receipt"), this.#body);
  }

  draw(transaction) {
    const state = transaction ? `${transaction.id} ${transaction.events.length} ${Boolean(transaction.receipt)}` : "";
    if (state === this.#drawn && state) return;
    this.#drawn = state;
    if (!transaction) {
      replace(this.#body, h("p", { class: "empty small" }, "Everything that happened to one transaction."));
      return;
    }
    const sum = transaction.summary();
    const told = transaction.receipt ?? {};
    const holder = sum.holder ?? told.holder;
    const reason = sum.reason ?? told.reason;
    replace(this.#body,
      h("div", { class: "receipt-outcome" }, ending({ ...sum, outcome: sum.outcome === "open" && told.outcome ? told.outcome : sum.outcome }),
        sum.answered ? h("span", { class: "small soft" }, `answered after ${span(sum.answered - sum.began)}`) : ""),
      reason && h("p", { class: "why" }, `Why: ${because(reason)}.`, h("br"), h("code", {}, reason)),
      holder && h("p", { class: "small" }, "The lock was held by ", txLink(holder), "."),
      section("Legs", legTable(sum.legs.length > 0 ? sum.legs : told.legs ?? [])),
      section("Decision", decision(sum)),
      section("Locks", locks(sum)),
      section("Syncs", syncs(sum)),
      section("Messages", h("p", { class: "small" }, `${sum.messages} sent${sum.retries ? `, ${sum.retries} of them again` : ", none twice"}${sum.deaths.length ? `; died meanwhile: ${sum.deaths.join(", ")}` : ""}.`)),
      ids(transaction, sum, told),
      everything(transaction),
      (told.note || transaction.lost > 0) && h("p", { class: "small soft" }, told.note ?? "", transaction.lost > 0 ? ` ${transaction.lost} more events did not fit here.` : ""));
  }
}

function section(title, ...content) {
  return h("div", {}, h("h3", {}, title), ...content);
}

function legTable(legs) {
  if (legs.length === 0) return h("p", { class: "small soft" }, "Not seen.");
  return h("table", { class: "ledger" }, h("tbody", {}, ...legs.map((leg) => h("tr", {},
    h("td", {}, `${leg.node}/${leg.account}`),
    h("td", { class: `num mono ${leg.delta < 0 ? "taken" : "given"}` }, delta(leg.delta))))));
}

function decision(sum) {
  if (sum.outcome === "open") {
    return h("p", { class: "small" }, sum.doubt.size > 0
      ? [mark("wait", "lock", `In doubt on ${[...sum.doubt.keys()].join(", ")}`), ": promised, and waiting to hear."]
      : "None yet.");
  }
  const when = sum.decided ? ` after ${span(sum.decided - sum.began)}` : "";
  const still = sum.doubt.size > 0 ? ` ${[...sum.doubt.keys()].join(", ")} does not know it yet.` : "";
  return h("p", { class: "small" }, `${sum.outcome === "committed" ? "COMMIT" : "ABORT"}${when}. ${sum.outcome === "aborted" ? "Nobody has to acknowledge it: no record means abort." : sum.finished ? "Everybody knows it." : "Not everybody has said that they know it."}${still}`);
}

function locks(sum) {
  if (sum.locks.length === 0) return h("p", { class: "small soft" }, "None were taken.");
  return h("ul", { class: "small" }, ...sum.locks.map((lock) => h("li", { class: "row" },
    icon("lock"), h("span", {}, `${lock.node}/${lock.account}`),
    h("span", { class: "push soft" }, lock.to ? `held ${span(lock.to - lock.from)}` : "still held"))));
}

function syncs(sum) {
  if (sum.syncs.length === 0) return h("p", { class: "small soft" }, "None were seen.");
  return h("ul", { class: "small" }, ...sum.syncs.map((sync) => h("li", { class: "row" },
    icon("disk"), h("span", {}, name(sync.process).replace("The c", "C")),
    h("span", { class: "push soft" }, `${sync.took_us === undefined ? "" : span(sync.took_us)} at +${span(sync.at_us - sum.began)}`))));
}

function ids(transaction, sum, told) {
  const request = sum.request ?? told.request_id;
  return section("Names", h("dl", { class: "ids small" },
    h("dt", {}, "Transaction"), h("dd", { class: "mono" }, transaction.id),
    request && [h("dt", {}, "Request"), h("dd", { class: "mono" }, request)],
    h("dt", {}, "Began"), h("dd", {}, clock(sum.began))));
}

function everything(transaction) {
  const first = transaction.events[0]?.at_us;
  return h("details", { class: "small" },
    h("summary", {}, `All ${transaction.events.length} events`),
    h("ol", { class: "events mono" }, ...transaction.events.map((event) => h("li", {},
      h("span", { class: "soft" }, `+${span(event.at_us - first)} `), `${event.process} ${event.what} `,
      event.line && event.what !== "synced" ? shortIds(event.line) : event.kind ?? ""))));
}
