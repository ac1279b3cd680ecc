// A scenario's verdict as a card: what happened, in plain words, with its facts.

import { cliLine } from "./app.js";
import { h, icon, mark } from "./dom.js";
import { outcomeMark, txLink } from "./list.js";
import { because } from "./words.js";

/** The card for a scenario's answer. `dismiss` makes it closable. */
export function verdictCard({ verdict, transactions = [], cli }, dismiss) {
  const { ok, title, text, facts = [], conserved } = verdict;
  return h("article", { class: `card verdict ${ok ? "good" : "bad"}`, "aria-label": "Verdict" },
    h("header", { class: "row" },
      mark(ok ? "good" : "bad", ok ? "check" : "cross", ok ? "As it should be" : "Not as it should be"),
      dismiss && h("button", { class: "plain tight square push", type: "button", "aria-label": "Close", on: { click: dismiss } }, icon("cross"))),
    h("h2", { tabindex: -1 }, title),
    h("p", {}, text),
    conserved && h("p", { class: "conserved" }, mark(ok ? "good" : "bad", ok ? "check" : "cross", `Money: ${conserved}`)),
    facts.length > 0 && h("ul", { class: "facts" }, ...facts.map((fact) => h("li", {}, fact))),
    transactions.length > 0 && outcomes(transactions),
    cli && cliLine(cli));
}

/** A table of how some transactions ended. */
export function outcomes(transactions) {
  return h("div", { class: "scroll" }, h("table", { class: "outcomes" },
    h("thead", {}, h("tr", {}, h("th", {}, "Transaction"), h("th", {}, "Outcome"), h("th", {}, "Why"))),
    h("tbody", {}, ...transactions.map((one) => h("tr", {},
      h("td", {}, one.txn ? txLink(one.txn) : "–"),
      h("td", {}, outcomeMark(one.outcome)),
      h("td", { class: "small" }, one.reason ? [because(one.reason), h("br"), h("code", {}, one.reason)] : "",
        one.holder ? [" · held by ", txLink(one.holder)] : ""))))));
}
