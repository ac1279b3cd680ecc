// A small line chart as SVG: a few lines over time, named where they end, with a crosshair that reads out the values.

import { h, replace, s } from "./dom.js";
import { span } from "./format.js";

const WIDTH_MIN = 240;
const HEIGHT = 170;
const LEFT = 44;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 20;
/** Lines also differ by their dashes, so that they can be told apart without colour. */
const DASHES = ["", "6 3", "2 3", "9 3 2 3", "1 4", "12 4"];

export class Chart {
  #svg;
  #plot = s("g");
  #cross = s("line", { class: "cross", y1: TOP, y2: HEIGHT - BOTTOM });
  #legend = h("ul", { class: "legend small" });
  #now = h("strong", { class: "chart-now" });
  #format;
  #floor;
  #points = [];
  #names = [];
  #at = null;

  /** `format` writes a value; the scale never ends below `floor`. */
  constructor(title, { format, floor = 1 }) {
    this.#format = format;
    this.#floor = floor;
    this.#svg = s("svg", { class: "chart", role: "img", "aria-label": title }, this.#plot, this.#cross);
    this.#cross.style.display = "none";
    this.#svg.addEventListener("pointermove", (event) => this.#read(event));
    this.#svg.addEventListener("pointerleave", () => { this.#at = null; this.#say(); });
    this.element = h("section", { class: "card chart-card", "aria-label": title },
      h("div", { class: "row" }, h("h2", {}, title), h("span", { class: "push" }, this.#now)), this.#svg, this.#legend);
  }

  /** Draws `points` (`{at_us, values: {name: number}}`, oldest first) from `from_us` to `to_us`; `main` is what is written large. */
  draw(points, { from_us, to_us, main }) {
    this.#points = points;
    const names = [...new Set(points.flatMap(({ values }) => Object.keys(values)))];
    // Order of appearance, and it stays: a name keeps its dashes.
    for (const name of names) if (!this.#names.includes(name)) this.#names.push(name);
    this.#names = this.#names.filter((name) => names.includes(name));
    const width = Math.max(WIDTH_MIN, this.#svg.clientWidth);
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    let top = this.#floor;
    for (const { values } of points) for (const value of Object.values(values)) if (value > top) top = value;
    top = nice(top);
    const x = (at_us) => LEFT + ((at_us - from_us) / Math.max(1, to_us - from_us)) * (width - LEFT - RIGHT);
    const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
    this.x = x;
    replace(this.#plot, ...[0, 0.5, 1].flatMap((part) => [
      s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(top * part), y2: y(top * part) }),
      s("text", { class: "tick", x: LEFT - 5, y: y(top * part) + 3.5, "text-anchor": "end" }, this.#format(top * part)),
    ]),
    s("text", { class: "tick", x: LEFT, y: HEIGHT - 5 }, `${span(to_us - from_us)} ago`),
    s("text", { class: "tick", x: width - RIGHT, y: HEIGHT - 5, "text-anchor": "end" }, "now"),
    ...this.#names.map((name, at) => s("path", { class: `series s${at % 6}`, "stroke-dasharray": DASHES[at % 6], d: line(points, name, x, y) })));
    this.main = main;
    this.#say();
  }

  #say() {
    const point = this.#at === null ? this.#points.at(-1) : this.#points[this.#at];
    const values = point?.values ?? {};
    this.#now.textContent = this.main && this.main in values ? this.#format(values[this.main]) : "";
    this.#cross.style.display = this.#at === null ? "none" : "";
    if (this.#at !== null && point) {
      const at = this.x(point.at_us);
      this.#cross.setAttribute("x1", at);
      this.#cross.setAttribute("x2", at);
    }
    replace(this.#legend, ...this.#names.map((name, at) => h("li", {},
      s("svg", { class: "sample", viewBox: "0 0 22 8", "aria-hidden": "true" }, s("line", { class: `series s${at % 6}`, "stroke-dasharray": DASHES[at % 6], x1: 0, x2: 22, y1: 4, y2: 4 })),
      `${name} `, h("span", { class: "mono" }, values[name] === undefined ? "–" : this.#format(values[name])))));
  }

  #read(event) {
    const wanted = event.clientX - this.#svg.getBoundingClientRect().left;
    let best = null;
    this.#points.forEach(({ at_us }, at) => {
      if (best === null || Math.abs(this.x(at_us) - wanted) < Math.abs(this.x(this.#points[best].at_us) - wanted)) best = at;
    });
    this.#at = best;
    this.#say();
  }
}

function line(points, name, x, y) {
  let d = "";
  let pen = "M";
  for (const { at_us, values } of points) {
    const value = values[name];
    if (value === undefined || value === null) {
      pen = "M";
      continue;
    }
    d += `${pen}${x(at_us).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
  }
  return d;
}

/** The next round number: 1, 2 or 5 times a power of ten. */
function nice(number) {
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 5, 10].map((factor) => factor * power).find((round) => round >= number) ?? number;
}
