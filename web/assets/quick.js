// The row of buttons over the live view: make something happen, and step mode.

import { control, post, submit } from "./api.js";
import { button, h } from "./dom.js";
import { shortIds } from "./format.js";
import { money } from "./accounts.js";

export class Quick {
  #app;
  #ends = [];
  #holding = h("span", { class: "small mono holding", "aria-live": "polite" });
  #on = h("input", { type: "checkbox" });
  #next;

  constructor(app) {
    this.#app = app;
    this.#next = button("Next message", () => app.attempt(() => post(control("step/next"))), { tone: "loud tight", glyph: "next" });
    this.#on.addEventListener("change", () => app.attempt(() => post(control("step"), { on: this.#on.checked })).then((done) => {
      if (done === undefined) this.#step(app.memory.step);
      else this.#step({ holding: [], on: this.#on.checked, ...done });
    }));
    const stepMode = h("div", { class: "row step-mode" },
      h("label", { class: "check", title: "The coordinator waits before each of its messages until you press the button" }, this.#on, "Step mode"),
      this.#next, this.#holding);
    this.element = h("div", { class: "row quick", "aria-label": "Make something happen", role: "group" },
      button("Transfer 10", () => this.#transfer(10), { glyph: "operate", tone: "loud", id: "quick-transfer" }),
      button("Ask for too much", () => this.#transfer(null), { glyph: "cross", id: "quick-refused" }),
      button("Conflict", () => this.#conflict(), { glyph: "lock", id: "quick-conflict" }),
      h("span", { class: "grow" }), stepMode);
    const controllable = () => {
      stepMode.hidden = !app.cluster;
      this.element.querySelector("#quick-conflict").hidden = !app.cluster;
    };
    this.#ends.push(app.memory.on("step", (step) => this.#step(step)), app.on("cluster", controllable));
    controllable();
    this.#step(app.memory.step);
  }

  close() {
    this.#ends.forEach((end) => end());
  }

  #step({ on, holding = [] }) {
    this.#on.checked = on;
    this.#next.hidden = !on;
    this.#next.disabled = holding.length === 0;
    const [first, ...more] = holding;
    this.#holding.textContent = !on ? "" : first ? `holds ${shortIds(first)}${more.length ? ` and ${more.length} more` : ""}` : "nothing to hold: start a transfer";
  }

  // Not awaited in step mode: its answer comes only when its messages were let go.
  async #transfer(amount) {
    if (location.hash !== "#/live") location.hash = "#/live";
    await this.#app.attempt(async () => {
      const [from, to] = await money(this.#app);
      const asked = submit({ from: from.place, to: to.place, amount: amount ?? from.balance + 1000 });
      if (this.#on.checked) asked.catch((problem) => this.#app.problem(problem));
      else await asked;
    });
  }

  async #conflict() {
    if (location.hash !== "#/live") location.hash = "#/live";
    const answer = await this.#app.attempt(() => post(control("scenarios"), { name: "conflict" }));
    const loser = answer?.transactions?.find((one) => one.outcome === "aborted");
    if (loser?.txn) location.hash = `#/tx/${loser.txn}`;
  }
}
