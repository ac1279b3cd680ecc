// The chosen transaction on stage: its diagram, the scrubber under it, what the step means, and what if it dies there.

import { control, post } from "./api.js";
import { button, h, icon, replace, s } from "./dom.js";
import { draw } from "./draw.js";
import { mermaid, save, svgFile } from "./export.js";
import { legs, short } from "./format.js";
import { ending } from "./list.js";
import { meaning, name } from "./words.js";
import { verdictCard } from "./verdict.js";

export class Stage {
  #app;
  #transaction = null;
  /** The index of the step looked at; null while the diagram follows what happens. */
  #cursor = null;
  #steps = [];
  #svg = s("svg", { class: "diagram", role: "img" });
  #title = h("span", { class: "stage-title" });
  #paper = h("div", { class: "paper" });
  #empty = h("div", { class: "empty" });
  #range = h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Step of the transaction" });
  #where = h("span", { class: "small soft where" });
  #caption = h("p", { class: "caption-line", "aria-live": "polite" });
  #die;
  #verdict = h("div", { class: "stage-verdict", hidden: true });
  #playing = null;
  #play;
  #exports;

  constructor(app) {
    this.#app = app;
    this.#range.addEventListener("input", () => this.#go(Number(this.#range.value)));
    const to = (glyph, label, act) => h("button", { class: "plain tight square", type: "button", "aria-label": label, title: label, on: { click: act } }, icon(glyph));
    this.#play = to("play", "Play from the beginning", () => this.#toggle());
    this.#die = button("What if it dies here?", () => this.#dieHere(), { tone: "danger tight", glyph: "skull" });
    this.#exports = h("span", { class: "row push" },
      h("button", { class: "plain tight", type: "button", on: { click: () => this.#save("svg") } }, icon("save"), "SVG"),
      h("button", { class: "plain tight", type: "button", on: { click: () => this.#save("mmd") } }, icon("save"), "mermaid"));
    this.#paper.append(this.#empty, this.#svg);
    this.element = h("section", { class: "card stage", "aria-label": "Sequence diagram" },
      h("div", { class: "row stage-head" }, this.#title, this.#exports), this.#paper, this.#verdict,
      h("div", { class: "scrubber" },
        h("div", { class: "row" },
          to("first", "First step", () => this.#go(0)), to("back", "Step back", () => this.#move(-1)), this.#play,
          to("next", "Step forward", () => this.#move(1)), to("last", "Last step, and follow", () => this.#go(null)),
          h("span", { class: "grow" }, this.#range), this.#where),
        h("div", { class: "row caption-row" }, this.#caption, this.#die)));
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.rewind();
  }

  close() {
    clearInterval(this.#playing);
  }

  /** Forgets where the reader was: another transaction comes. */
  rewind() {
    this.#stop();
    this.#cursor = null;
    this.#verdict.hidden = true;
  }

  /** Says that nobody remembers `id`. */
  missing(id) {
    replace(this.#empty, `Nobody remembers the transaction ${id}. The servers keep what happened lately; their logs keep the rest: see State.`);
  }

  draw(transaction) {
    this.#transaction = transaction;
    const some = transaction && transaction.events.length > 0;
    this.#svg.toggleAttribute("hidden", !some);
    this.#svg.style.display = some ? "" : "none";
    this.#empty.hidden = Boolean(some);
    this.#exports.hidden = !some;
    this.#die.hidden = !this.#app.cluster;
    if (!some) {
      replace(this.#title, h("h2", {}, "Two-phase commit, live"));
      if (!transaction) replace(this.#empty, "Choose a transaction on the left, or make one with the buttons above.");
      this.#steps = [];
      this.#tell();
      return;
    }
    const sum = transaction.summary();
    replace(this.#title, ending(sum), h("h2", {}, legs(sum.legs) || "…"), h("span", { class: "mono small soft", title: transaction.id }, short(transaction.id)));
    this.#svg.setAttribute("aria-label", `Transaction ${short(transaction.id)}, ${sum.outcome}: ${transaction.events.length} steps. The steps are told in words below.`);
    const plan = draw(this.#svg, {
      events: transaction.story(),
      nodes: this.#app.nodes(),
      states: this.#app.states(),
      width: Math.max(320, this.#paper.clientWidth - 2),
      // Stacked on a narrow screen the paper is as high as the drawing; there the page scrolls.
      room: matchMedia("(max-width: 760px)").matches ? 500 : this.#paper.clientHeight - 4,
      cursor: this.#cursor,
      chosen: (at) => this.#go(at),
    });
    this.#steps = plan.steps;
    this.#tell();
  }

  #tell() {
    const last = this.#steps.length - 1;
    const at = this.#cursor === null ? last : Math.min(this.#cursor, last);
    this.#range.max = Math.max(0, last);
    this.#range.value = Math.max(0, at);
    this.#range.disabled = last < 0;
    this.#where.textContent = last < 0 ? "" : `${at + 1} / ${last + 1}`;
    const step = this.#steps[at];
    const said = step ? meaning(step.event) : "";
    this.#range.setAttribute("aria-valuetext", said);
    if (this.#caption.textContent !== said) this.#caption.textContent = said;
    this.#die.disabled = !step || !mayDie(step.event);
    this.#die.title = step && mayDie(step.event) ? `Runs the same transfer again and kills ${name(step.event.process).toLowerCase()} at this very step` : "";
  }

  #go(at) {
    this.#cursor = at === null || this.#steps.length === 0 ? null : Math.max(0, Math.min(at, this.#steps.length - 1));
    this.draw(this.#transaction);
    const row = this.#svg.querySelector(".band");
    row?.scrollIntoView({ block: "nearest" });
  }

  #move(by) {
    const at = this.#cursor ?? this.#steps.length - 1;
    this.#go(at + by);
  }

  #key(event) {
    if (event.target instanceof HTMLInputElement && event.target.type !== "range") return;
    const act = { ArrowLeft: () => this.#move(-1), ArrowRight: () => this.#move(1), Home: () => this.#go(0), End: () => this.#go(null) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #toggle() {
    if (this.#playing) {
      this.#stop();
      return;
    }
    if (this.#cursor === null || this.#cursor >= this.#steps.length - 1) this.#go(0);
    this.#playing = setInterval(() => {
      if (this.#cursor === null || this.#cursor >= this.#steps.length - 1) this.#stop();
      else this.#move(1);
    }, 650);
    replace(this.#play, icon("pause"));
  }

  #stop() {
    clearInterval(this.#playing);
    this.#playing = null;
    if (this.#play) replace(this.#play, icon("play"));
  }

  async #dieHere() {
    const at = this.#cursor ?? this.#steps.length - 1;
    const { event } = this.#steps[at];
    const { process, what, peer } = event;
    const { legs: moved } = this.#transaction.summary();
    await this.#app.attempt(async () => {
      const answer = await post(control("scenarios"), {
        name: "die_here", process, what, kind: kindOf(event, this.#transaction.story()), peer: peer ?? undefined, legs: moved.length > 1 ? moved : undefined,
      });
      replace(this.#verdict, verdictCard(answer, () => { this.#verdict.hidden = true; }));
      this.#verdict.hidden = false;
      this.#verdict.querySelector("h2")?.focus();
    });
  }

  #save(kind) {
    const file = `transaction-${short(this.#transaction.id)}.${kind}`;
    if (kind === "svg") save(file, "image/svg+xml", svgFile(this.#svg));
    else save(file, "text/plain", mermaid(this.#transaction.story(), this.#app.nodes()));
  }
}

// A sync has no kind of its own: it is that of the newest record it covers.
function kindOf(event, events) {
  if (event.what !== "synced") return event.kind;
  const covered = events.filter(({ process, what, seq }) => process === event.process && what === "recorded" && seq <= event.seq);
  return covered.at(-1)?.kind ?? "";
}

// The client is not a process of the cluster, and who is dead cannot die.
function mayDie({ process, what }) {
  return process !== "client" && ["received", "sent", "recorded", "synced"].includes(what);
}
