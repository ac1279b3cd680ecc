// A diagram to take away: as an SVG file that looks the same anywhere, and as mermaid text.

import { layout } from "./layout.js";
import { label } from "./words.js";

const KEPT = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "paint-order", "opacity",
  "font-family", "font-size", "font-weight", "letter-spacing", "color"];

/** The diagram as a file of its own: what the style sheet says is written into every element. */
export function svgFile(svg) {
  const copy = svg.cloneNode(true);
  const from = svg.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((element, at) => {
    const look = getComputedStyle(from[at]);
    for (const name of KEPT) {
      const value = look.getPropertyValue(name);
      if (value && value !== "normal") element.setAttribute(name, value.includes("url(") ? "url(#hatch)" : value);
    }
    element.removeAttribute("class");
    element.removeAttribute("data-step");
  });
  copy.querySelectorAll("circle").forEach((circle) => circle.getAttribute("fill") === "rgba(0, 0, 0, 0)" && circle.remove());
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  ground.setAttribute("width", "100%");
  ground.setAttribute("height", "100%");
  ground.setAttribute("fill", getComputedStyle(svg.parentElement).backgroundColor);
  copy.prepend(ground);
  copy.removeAttribute("class");
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return new XMLSerializer().serializeToString(copy);
}

/** The story as a mermaid sequence diagram. */
export function mermaid(events, nodes) {
  const { lanes, steps, arrows } = layout(events, nodes);
  const lines = ["sequenceDiagram", ...lanes.map((name) => `  participant ${name}`)];
  const byStep = new Map(arrows.map((arrow) => [arrow.step, arrow]));
  for (const step of steps) {
    const arrow = byStep.get(step);
    const { event } = step;
    if (arrow) {
      const way = { arrived: "->>", flying: "--)", lost: "--x", held: "--)" }[arrow.state];
      lines.push(`  ${arrow.from}${way}${arrow.to}: ${plain(label(arrow))}`);
    } else if (event.what === "recorded") {
      lines.push(`  Note over ${event.process}: ${event.kind}${event.forced ? " (forced)" : ""}`);
    } else if (event.what === "synced") {
      lines.push(`  Note over ${event.process}: sync`);
    } else if (event.what !== "received") {
      lines.push(`  Note over ${event.process}: ${event.what}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** Lets the browser save `text` under `name`. */
export function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser needs it until the download has begun.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// Mermaid ends a message at a semicolon and reads # as an entity.
function plain(text) {
  return text.replace(/[;#]/g, " ").replaceAll("−", "-");
}
