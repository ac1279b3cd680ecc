// The operations: transfer, several legs, deposit, read a balance, repeat; each with its command line. And the two demos of concurrency.

import { control, get, post, submit } from "./api.js";
import { allAccounts } from "./accounts.js";
import { cliLine } from "./app.js";
import { button, choice, field, h, icon, replace } from "./dom.js";
import { atMostEvery } from "./emitter.js";
import { count, legs } from "./format.js";
import { outcomeMark, txLink } from "./list.js";
import { verdictCard } from "./verdict.js";
import { because } from "./words.js";

const RESULTS_MAX = 30;

const OPERATIONS = [["transfer", "Transfer"], ["submit", "Several legs"], ["deposit", "Deposit"], ["balance", "Read balance"], ["repeat", "Repeat × N"]];

export const operate = {
  title: "Operate",

  open(root, argument, app) {
    const ends = [];
    const form = h("div", { class: "stack" });
    const results = h("ol", { class: "stack results", "aria-live": "polite" });
    const none = h("p", { class: "empty small" }, "What you run appears here.");
    const accounts = h("datalist", { id: "accounts" });
    const table = h("div", { class: "scroll accounts", tabindex: 0, role: "region", "aria-label": "Balances" });
    const kind = choice("Operation", "operation", OPERATIONS, "transfer", show);

    root.className = "operate";
    root.append(h("h1", { class: "visually-hidden" }, "Operate"), accounts,
      h("div", { class: "columns" },
        h("div", { class: "stack" },
          h("section", { class: "card stack", "aria-label": "Operations" }, kind, form),
          demos(app, add, ends)),
        h("section", { class: "card stack", "aria-label": "Results" }, h("h2", {}, "Results"), none, results),
        h("section", { class: "card stack", "aria-label": "Accounts" }, h("h2", {}, "Accounts"), table)));

    function show(name) {
      replace(form, FORMS[name](app, add));
    }

    function add(...content) {
      none.hidden = true;
      results.prepend(h("li", { class: "result" }, ...content));
      while (results.children.length > RESULTS_MAX) results.lastChild.remove();
      reload();
    }

    const reload = atMostEvery(700, async () => {
      const found = await allAccounts(app);
      if (found.length === 0 && table.childElementCount > 0) return;
      replace(accounts, ...found.map(({ place }) => h("option", { value: place })));
      replace(table, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "Account"), h("th", { class: "num" }, "Balance"))),
        h("tbody", {}, ...found.map(({ place, balance }) => h("tr", { data: { account: place } }, h("td", {}, place), h("td", { class: "num mono" }, count(balance)))))));
    });

    show("transfer");
    reload();
    ends.push(app.on("cluster", reload), app.memory.on("audit", reload));
    return () => ends.forEach((end) => end());
  },
};

const FORMS = {
  transfer(app, add) {
    const from = place("N1/A");
    const to = place("N2/B");
    const amount = number(10);
    const words = () => `transfer ${from.value} ${to.value} ${amount.value}`;
    return operation(app, [h("div", { class: "row end" }, field("From", from, { class: "grow" }), field("To", to, { class: "grow" }), field("Amount", amount, { class: "amount" }))],
      "Transfer", words, async () => outcome(add, words(), await submit({ from: from.value.trim(), to: to.value.trim(), amount: Number(amount.value) })));
  },

  submit(app, add) {
    const list = h("div", { class: "stack" });
    const leg = (where, by) => {
      const account = place(where);
      const amount = number(by, null);
      const row = h("div", { class: "row end leg" }, field("Account", account, { class: "grow" }), field("Change", amount, { class: "amount" }),
        h("button", { class: "plain square", type: "button", "aria-label": "Take this leg out", on: { click: () => { row.remove(); list.dispatchEvent(new Event("input", { bubbles: true })); } } }, icon("cross")));
      row.read = () => {
        const [, node, name] = account.value.trim().match(/^([^/]+)\/(.+)$/) ?? [];
        return { node: node ?? account.value, account: name ?? "", delta: Number(amount.value) };
      };
      return row;
    };
    list.append(leg("N1/A", -30), leg("N2/B", 10), leg("N3/C", 20));
    const read = () => [...list.children].map((row) => row.read());
    const words = () => `submit ${read().map(({ node, account, delta }) => `${node}/${account}:${delta >= 0 ? "+" : ""}${delta}`).join(" ")}`;
    const sum = h("span", { class: "small soft push" });
    const told = () => {
      const total = read().reduce((all, { delta }) => all + delta, 0);
      sum.textContent = total === 0 ? "Taken and given are equal." : `Off by ${total}: what is taken must be given.`;
    };
    list.addEventListener("input", told);
    told();
    return operation(app, [list, h("div", { class: "row" }, button("Add a leg", () => { list.append(leg("", 0)); told(); }, { glyph: "plus", tone: "tight" }), sum)],
      "Submit all or none", words, async () => outcome(add, words(), await submit({ legs: read() })));
  },

  deposit(app, add) {
    const account = place("N1/A");
    const amount = number(100);
    const words = () => `deposit ${account.value} ${amount.value}`;
    return operation(app, [h("div", { class: "row end" }, field("Account (opened if there is none)", account, { class: "grow" }), field("Amount", amount, { class: "amount" }))],
      "Deposit", words, async () => outcome(add, words(), await submit({ account: account.value.trim(), amount: Number(amount.value) }, "/v1/deposits")));
  },

  balance(app, add) {
    const account = place("N1/A");
    const words = () => `balance ${account.value}`;
    return operation(app, [field("Account", account)], "Read balance", words, async () => {
      const [node, ...rest] = account.value.trim().split("/");
      const read = await get(`/v1/accounts/${encodeURIComponent(node)}/${encodeURIComponent(rest.join("/"))}`);
      add(h("div", { class: "row" }, h("strong", {}, account.value), h("span", { class: "push mono balance" },
        read.balance ?? `${read.lowest} or ${read.highest}, in doubt`)), cliLine(app.cli(words())));
    });
  },

  repeat(app, add) {
    const from = place("N1/A");
    const to = place("N2/B");
    const amount = number(1);
    const times = number(50);
    const words = () => `transfer ${from.value} ${to.value} ${amount.value}`;
    const line = () => `for i in $(seq ${times.value}); do ${app.cli(words())}; done`;
    return operation(app, [h("div", { class: "row end" }, field("From", from, { class: "grow" }), field("To", to, { class: "grow" })),
      h("div", { class: "row end" }, field("Amount", amount, { class: "amount" }), field("Times", times, { class: "amount" }))],
    "Repeat", words, async () => {
      if (!app.cluster) {
        await oneByOne(add, words(), Number(times.value), () => submit({ from: from.value.trim(), to: to.value.trim(), amount: Number(amount.value) }));
        return;
      }
      const answer = await post(control("scenarios"), { name: "repeat", from: from.value.trim(), to: to.value.trim(), amount: Number(amount.value), times: Number(times.value) });
      add(verdictCard({ ...answer, transactions: (answer.transactions ?? []).slice(0, 3) }));
    }, line);
  },
};

function operation(app, fields, text, words, run, line = () => app.cli(words())) {
  const cli = cliLine(line());
  const form = h("form", { class: "stack", novalidate: true }, ...fields, cli, h("div", { class: "row" }, h("button", { class: "loud", type: "submit" }, text)));
  const go = form.querySelector("button[type=submit]");
  form.addEventListener("input", () => cli.set(line()));
  form.addEventListener("click", () => cli.set(line()));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (go.getAttribute("aria-busy") === "true") return;
    go.setAttribute("aria-busy", "true");
    await app.attempt(run);
    go.removeAttribute("aria-busy");
  });
  return form;
}

function outcome(add, words, { outcome: ending, txn, reason, holder, legs: moved }) {
  add(h("div", { class: "row" }, outcomeMark(ending), h("span", { class: "push" }, txn ? txLink(txn) : "")),
    h("p", { class: "mono small" }, moved ? legs(moved) : words),
    reason && h("p", { class: "small" }, `${because(reason)}. `, h("code", {}, reason)),
    holder && h("p", { class: "small" }, "The lock was held by ", txLink(holder), "."));
}

// Behind a gateway the page repeats by itself.
async function oneByOne(add, words, times, act) {
  const ends = new Map();
  for (let turn = 0; turn < times; turn++) {
    const { outcome: ending } = await act();
    ends.set(ending, (ends.get(ending) ?? 0) + 1);
  }
  add(h("p", { class: "mono small" }, `${words} × ${times}`), ...[...ends].map(([ending, often]) => h("p", {}, outcomeMark(ending), ` ${count(often)} times`)));
}

/** The concurrency demos as buttons. `add` is given what to show, `ends` how to leave. */
function demos(app, add, ends) {
  const run = (name) => () => app.attempt(async () => {
    const answer = await post(control("scenarios"), { name });
    add(verdictCard(answer));
  });
  const section = h("section", { class: "card stack", "aria-label": "Concurrency demos" },
    h("h2", {}, "At the same time"),
    h("div", { class: "demo" }, button("Three concurrent transfers", run("concurrent"), { glyph: "operate" }),
      h("p", { class: "small soft" }, "N1/A → N2/B 10, N2/B → N1/A 10, N3/C → N1/A 20, all at once.")),
    h("div", { class: "demo" }, button("Conflicting pair", run("conflict"), { glyph: "lock" }),
      h("p", { class: "small soft" }, "Both want N2/B: one takes its lock and commits, the other aborts at once.")));
  const there = () => { section.hidden = !app.cluster; };
  ends.push(app.on("cluster", there));
  there();
  return section;
}

/** A field for an account. */
export function place(value) {
  return h("input", { value, list: "accounts", required: true, spellcheck: "false", autocomplete: "off", placeholder: "N1/A" });
}

/** A field for a whole number. */
export function number(value, min = 1) {
  return h("input", { type: "number", value, min, step: 1, required: true, inputmode: "numeric" });
}
