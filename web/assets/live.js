// The live view: recent transactions, the diagram of the chosen one as it grows, and its receipt.

import { get } from "./api.js";
import { h, replace } from "./dom.js";
import { atMostEvery, eachFrame } from "./emitter.js";
import { Quick } from "./quick.js";
import { Receipt } from "./receipt.js";
import { Stage } from "./stage.js";
import { TransactionList } from "./list.js";

const DWELL_MS = 1200;

let current = null;

export const live = {
  title: "Live",

  open(root, id, app) {
    current = new Live(root, app);
    current.choose(id);
    return () => {
      current.close();
      current = null;
    };
  },

  show(id) {
    current?.choose(id);
  },
};

class Live {
  #app;
  #ends = [];
  #list;
  #stage;
  #receipt;
  #id = null;
  #follow = true;
  #asked = new Set();

  constructor(root, app) {
    this.#app = app;
    const { memory } = app;
    const quick = new Quick(app);
    this.#list = new TransactionList(app, {
      follow: (wanted) => this.#following(wanted),
      following: () => this.#follow,
    });
    this.#stage = new Stage(app);
    this.#receipt = new Receipt(app);
    root.className = "live";
    root.append(h("h1", { class: "visually-hidden" }, "Live"), quick.element,
      h("div", { class: "live-grid" }, this.#list.element, this.#stage.element, this.#receipt.element));

    const drawList = atMostEvery(250, () => this.#list.draw(this.#id));
    // Under load each one stays long enough to be seen.
    const newest = atMostEvery(DWELL_MS, () => {
      if (this.#follow) this.#look([...memory.transactions.keys()].at(-1) ?? null);
    });
    const drawStage = eachFrame(() => this.#draw());
    this.#ends.push(
      memory.on("new", () => {
        if (this.#follow) newest();
        drawList();
      }),
      memory.on("transaction", (transaction) => {
        if (transaction.id === this.#id) drawStage();
        drawList();
      }),
      memory.on("sampling", drawList),
      memory.on("forgotten", () => this.choose("")),
      app.on("cluster", drawStage),
      () => quick.close(),
      () => this.#stage.close(),
    );
    const resized = new ResizeObserver(drawStage);
    resized.observe(this.#stage.element);
    this.#ends.push(() => resized.disconnect());
    drawList();
  }

  close() {
    this.#follow = false;
    this.#ends.forEach((end) => end());
    this.#app.memory.pinned = null;
  }

  /** Shows the transaction with this id; the newest, and whatever comes, if there is none. */
  choose(id) {
    this.#follow = !id;
    this.#look(id || [...this.#app.memory.transactions.keys()].at(-1) || null);
    this.#list.draw(this.#id);
  }

  #following(wanted) {
    this.#follow = wanted;
    if (wanted && location.hash !== "#/live") location.hash = "#/live";
    else this.#list.draw(this.#id);
  }

  #look(id) {
    if (id !== this.#id) this.#stage.rewind();
    this.#id = id;
    this.#app.memory.pinned = id;
    this.#draw();
    if (id && !this.#follow) this.#complete(id);
  }

  // What is no longer in the page's memory may still be in the servers'.
  async #complete(id) {
    if (this.#asked.has(id)) return;
    this.#asked.add(id);
    const receipt = await get(`/v1/transactions/${encodeURIComponent(id)}/receipt`).catch(() => null);
    if (!receipt) {
      this.#asked.delete(id);
      this.#stage.missing(id);
      return;
    }
    const real = receipt.txn ?? id;
    if (real !== id) {
      // The address named a request; the transaction has an id of its own.
      location.replace(`#/tx/${real}`);
    }
    const transaction = this.#app.memory.transaction(real);
    (receipt.events ?? []).forEach((event) => transaction.add({ ...event, txn: real }));
    transaction.receipt = receipt;
    if (this.#id === real) this.#draw();
  }

  #draw() {
    const transaction = this.#id ? this.#app.memory.transactions.get(this.#id) : null;
    this.#stage.draw(transaction);
    this.#receipt.draw(transaction);
  }
}
