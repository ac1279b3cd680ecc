// What every view shares: the stream, the memory, what the cluster looks like, and how to tell the reader something.

import { control, get } from "./api.js";
import { h, icon, replace } from "./dom.js";
import { Emitter, atMostEvery } from "./emitter.js";
import { Memory } from "./memory.js";
import { Stream } from "./stream.js";

const NOTICE_MS = 7000;
const NOTICES_MAX = 3;

class App extends Emitter {
  stream = new Stream();
  memory = new Memory();
  /** What `GET /v1/control/cluster` says; null behind a gateway, which has no control over processes. */
  cluster = null;
  #nodes = [];
  #refresh = atMostEvery(400, () => this.#ask());

  start() {
    this.memory.follow(this.stream);
    this.memory.on("process", () => this.refresh());
    this.stream.on("state", (state) => state === "open" && this.refresh());
    this.stream.start();
    this.refresh();
  }

  /** Asks again what the cluster looks like. Emits `cluster` when there is an answer. */
  refresh() {
    this.#refresh();
  }

  /** The nodes' names, in order. */
  nodes() {
    return this.#nodes;
  }

  /** The nodes' and the coordinator's names. */
  processes() {
    return ["coordinator", ...this.#nodes];
  }

  /** What each process does now: name → "running", "stopped", … */
  states() {
    const states = new Map();
    for (const process of [this.cluster?.coordinator, ...(this.cluster?.nodes ?? [])]) {
      if (process) states.set(process.name, process.state);
    }
    for (const [name, process] of this.memory.processes) if (states.has(name)) states.set(name, process.state);
    return states;
  }

  /** The same on the command line, to copy. */
  cli(words) {
    const port = this.cluster?.coordinator?.port;
    return `twopence ${words}${port && port !== 5000 ? ` --coord 127.0.0.1:${port}` : ""}`;
  }

  /** Tells the reader something for a while. `tone` is good, bad or nothing. */
  notice(text, tone = "") {
    const place = document.getElementById("notices");
    const notice = h("div", { class: `notice ${tone}` }, h("span", {}, text));
    const gone = () => notice.remove();
    notice.append(h("button", { class: "plain tight square", type: "button", "aria-label": "Dismiss", on: { click: gone } }, icon("cross")));
    place.append(notice);
    while (place.querySelectorAll(".notice").length > NOTICES_MAX) place.querySelector(".notice").remove();
    setTimeout(gone, tone === "bad" ? NOTICE_MS * 2 : NOTICE_MS);
  }

  /** Tells the reader what went wrong, whether money moved, and what to do. */
  problem(problem) {
    const moved = { no: "No money moved.", unknown: "Whether money moved is unknown.", yes: "Money moved." }[problem.moneyMoved] ?? "";
    const said = problem.message.includes(moved) ? "" : moved;
    this.notice([problem.message, said, problem.next].filter(Boolean).join(" "), "bad");
  }

  /** Runs `act`; a problem becomes a notice and the result undefined. */
  async attempt(act) {
    try {
      return await act();
    } catch (problem) {
      this.problem(problem);
      return undefined;
    }
  }

  async #ask() {
    try {
      this.cluster = await get(control("cluster"));
      this.#nodes = this.cluster.nodes.map((node) => node.name);
    } catch (problem) {
      if (problem.status !== 404) return; // Gone for now; the stream says so.
      this.cluster = null;
      const status = await get("/v1/status").catch(() => null);
      const nodes = status?.coordinators?.find((one) => one.nodes?.length > 0)?.nodes ?? [];
      if (nodes.length > 0) this.#nodes = nodes.map(({ node }) => node);
    }
    this.emit("cluster", this.cluster);
  }
}

export const app = new App();

/** A line of the command line with a button that copies it. */
export function cliLine(text) {
  const code = h("code", {}, text);
  const copy = h("button", { class: "plain tight square", type: "button", "aria-label": "Copy the command", title: "Copy" }, icon("copy"));
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      replace(copy, icon("check"));
    } catch {
      getSelection().selectAllChildren(code); // Without the clipboard: selected, ready to copy by hand.
    }
    setTimeout(() => replace(copy, icon("copy")), 1500);
  });
  const line = h("div", { class: "cli" }, h("span", { class: "cli-prompt", "aria-hidden": "true" }, "$"), code, copy);
  line.set = (now) => { if (code.textContent !== now) code.textContent = now; };
  return line;
}
