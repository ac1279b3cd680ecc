// The sequence diagram as SVG: one lane per process, arrows for messages, marks for records, syncs, locks and decisions.
//
// How things are drawn says what they are, colour only underlines it: a question (PREPARE, inquiry) has an open head, a vote a dot
// at its tail, a decision is thick, an acknowledgement dotted. A hatched lane is in doubt.

import { s } from "./dom.js";
import { path } from "./glyphs.js";
import { clock, span } from "./format.js";
import { layout } from "./layout.js";
import { label, meaning } from "./words.js";

const ROW_MIN = 17;
const ROW_MAX = 30;
const TOP = 44;
const BOTTOM = 12;
const ROOMY = 82; // Lanes this far apart have room for what a message says.

/**
 * Draws into `svg`, `width` wide; rows are as high as `room` allows. `cursor` is the index of the last step that has happened, or null for all; `chosen(at)` is told which
 * step was pressed. Returns `{steps}` in the order of the story.
 */
export function draw(svg, { events, nodes, states, width, room, cursor, chosen }) {
  const plan = layout(events, nodes);
  const place = geometry(plan, width, room);
  const shown = cursor === null ? plan.steps.length - 1 : Math.min(cursor, plan.steps.length - 1);
  const at = new Map(plan.steps.map((step, index) => [step, index]));
  const faint = (index) => (index > shown ? " later" : "");
  const height = TOP + plan.rows * place.row + BOTTOM;

  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  svg.replaceChildren(
    hatch(),
    s("g", {}, ...plan.lanes.map((name) => lane(name, place, height, states.get(name)))),
    cursor === null ? "" : band(plan.steps[shown], place),
    times(plan, place, shown),
    s("g", {}, ...plan.pauses.map((pause) => drawPause(pause, place))),
    s("g", {}, ...stretches(plan, at, place, shown)),
    s("g", {}, ...plan.arrows.map((arrow) => drawArrow(arrow, place, faint(at.get(arrow.step))))),
    s("g", {}, ...plan.arrows.map((arrow) => caption(arrow, place, faint(at.get(arrow.step))))),
    s("g", {}, ...marks(plan, at, place, faint)),
    s("g", {}, ...plan.steps.map((step, index) => target(step, index, place, plan, chosen, cursor !== null && index === shown))),
  );
  return plan;
}

function geometry({ lanes, rows }, width, room) {
  const roomy = width >= 540;
  const left = roomy ? 96 : Math.min(48, width / lanes.length / 2);
  const right = roomy ? 100 : left;
  const gap = lanes.length > 1 ? Math.min(210, (width - left - right) / (lanes.length - 1)) : 0;
  const row = Math.max(ROW_MIN, Math.min(ROW_MAX, (room - TOP - BOTTOM) / rows));
  return {
    gap, roomy, width, row,
    x: (name) => left + lanes.indexOf(name) * gap,
    y: (at) => TOP + at * row + row / 2,
  };
}

function lane(name, place, height, state) {
  const x = place.x(name);
  const half = Math.min(46, Math.max(22, place.gap / 2 - 4));
  const text = name === "coordinator" && half < 38 ? "coord" : name;
  const away = state && state !== "running";
  return s("g", { class: `lane ${away ? "away" : ""}` },
    s("line", { class: "lane-line", x1: x, x2: x, y1: 30, y2: height - 4 }),
    s("rect", { class: "lane-head", x: x - half, y: 6, width: half * 2, height: 24, rx: name === "client" ? 12 : 5 }),
    s("text", { class: "lane-name", x, y: 22.5, "text-anchor": "middle" }, text),
    away ? s("text", { class: "lane-state", x, y: 41, "text-anchor": "middle" }, state) : "");
}

function band(step, place) {
  if (!step) return "";
  return s("rect", { class: "band", x: 0, y: place.y(step.row) - place.row / 2, width: place.width, height: place.row });
}

function drawPause({ row, us }, place) {
  return s("g", { class: "pause" },
    s("line", { x1: 8, x2: place.width - 8, y1: place.y(row), y2: place.y(row) }),
    s("text", { x: (place.x("client") + place.x("coordinator")) / 2, y: place.y(row) + 4, "text-anchor": "middle" }, `${span(us)} later`));
}

// The time since the beginning, at the left, once per row that begins something.
function times(plan, place, shown) {
  if (!place.roomy || plan.steps.length === 0) return "";
  const began = plan.steps[0].event.at_us;
  const rows = new Map();
  plan.steps.forEach((step, index) => {
    if (!rows.has(step.row)) rows.set(step.row, { at_us: step.event.at_us, index });
  });
  let last = null;
  const texts = [];
  for (const [row, { at_us, index }] of [...rows].sort(([one], [other]) => one - other)) {
    const text = row === 0 ? "0" : `+${span(at_us - began)}`;
    if (text === last) continue;
    last = text;
    texts.push(s("text", { class: `time${index > shown ? " later" : ""}`, x: 6, y: place.y(row) + 3.5 }, text));
  }
  return s("g", {}, ...texts);
}

// What lasts: in doubt from the promise to the decision, locks likewise, and death.
function stretches(plan, at, place, shown) {
  const drawn = [];
  const open = new Map();
  const dead = new Map();
  const bury = (process, row) => {
    if (!dead.has(process)) return;
    const x = place.x(process);
    const from = { x1: x, x2: x, y1: place.y(dead.get(process)), y2: place.y(row) };
    drawn.push(s("line", { class: "dead-ground", ...from }), s("line", { class: "dead-line", ...from }));
    dead.delete(process);
  };
  const bottom = () => plan.steps.slice(0, shown + 1).reduce((row, step) => Math.max(row, step.row), 0);
  const close = (node, row, ended) => {
    const held = open.get(node);
    if (!held) return;
    open.delete(node);
    drawn.push(...stretch(node, held, row, ended, place));
  };
  for (const step of plan.steps) {
    if (at.get(step) > shown) break;
    const { process, what, kind, line = "" } = step.event;
    if (what === "died") dead.set(process, step.row);
    if (what === "started") bury(process, step.row);
    if (what !== "recorded") continue;
    if (kind === "prepare_ok") {
      const accounts = line.split(" ").slice(2).filter((word, index) => index % 2 === 0 && !word.startsWith("("));
      open.set(process, { row: step.row, accounts, since: step.event.at_us });
    } else if (kind === "commit" || kind === "abort" || kind === "resolve") {
      close(process, step.row, true);
    }
  }
  for (const node of [...open.keys()]) close(node, bottom() + 0.6, false);
  for (const process of [...dead.keys()]) bury(process, bottom() + 0.6);
  return drawn;
}

function stretch(node, { row, accounts }, until, ended, place) {
  const x = place.x(node);
  const top = place.y(row);
  const bottom = place.y(until);
  const lock = x - 15;
  // A row lower than its record, whose neighbour's name may need the room.
  const latch = top + place.row;
  return [
    s("rect", { class: "doubt-area", x: x - 7, y: top, width: 14, height: Math.max(4, bottom - top), rx: 3 },
      s("title", {}, `${node} is in doubt: it has promised and does not know the decision`)),
    s("path", { class: "lock-line", d: `M${lock} ${latch + 8}V${Math.max(latch + 8, ended ? bottom - 8 : bottom)}` }),
    glyph("lock", lock, latch, 11, "lock", `${node} locks ${accounts.join(", ")}`),
    place.gap >= 74 ? s("text", { class: "lock-name", x: lock - 9, y: latch + 4, "text-anchor": "end" }, accounts.join(" ")) : "",
    ended ? glyph("unlock", lock, bottom, 11, "lock", `${node} unlocks ${accounts.join(", ")}`) : "",
  ];
}

function drawArrow(arrow, place, faint) {
  const x1 = place.x(arrow.from);
  const x2 = place.x(arrow.to);
  const y1 = place.y(arrow.fromRow);
  const y2 = place.y(arrow.toRow);
  const way = Math.sign(x2 - x1) || 1;
  const cut = arrow.state === "arrived" ? 1 : 0.62;
  const tip = { x: x1 + (x2 - x1) * cut - way * (cut === 1 ? 6 : 0), y: y1 + (y2 - y1) * cut };
  return s("g", { class: look(arrow, faint) },
    s("line", { x1: x1 + way * 5, y1, x2: tip.x, y2: tip.y }),
    head(arrow, tip, way, y2 - y1, Math.abs(x2 - x1)),
    arrow.kind === "vote" ? s("circle", { class: "tail", cx: x1 + way * 5, cy: y1, r: 3 }) : "",
    arrow.state === "lost" ? glyph("cross", tip.x, tip.y, 12, "lost", "This message never arrived") : "",
    arrow.state === "held" ? glyph("pause", tip.x + way * 8, tip.y, 12, "held", "Held back by step mode") : "");
}

function head(arrow, tip, way, fall, reach) {
  if (arrow.state === "lost" || arrow.state === "held") return "";
  const turn = (Math.atan2(fall, way * reach) * 180) / Math.PI;
  const shape = arrow.kind === "prepare" || arrow.kind === "inquiry" || arrow.kind === "execute" ? "M-7-4L0 0-7 4" : "M-8-4.200L0 0-8 4.200z";
  const open = shape.endsWith("4") ? " open" : "";
  return s("path", { class: `head${open}`, d: shape, transform: `translate(${tip.x} ${tip.y}) rotate(${turn})` });
}

function look(arrow, faint) {
  const inferred = arrow.step.event.inferred || arrow.end?.event.inferred ? " inferred" : "";
  return `arrow ${arrow.kind}${isNo(arrow) ? " no" : ""} ${arrow.state}${inferred}${faint}`;
}

function isNo({ kind, line = "" }) {
  return kind === "vote" && !/ yes\b/.test(line);
}

// Beside the lane that is not the coordinator: there, no two arrows ever meet.
function caption(arrow, place, faint) {
  const [x1, x2, y1, y2] = [place.x(arrow.from), place.x(arrow.to), place.y(arrow.fromRow), place.y(arrow.toRow)];
  const far = arrow.from === "coordinator" ? x2 : arrow.to === "coordinator" ? x1 : (x1 + x2) / 2;
  const near = arrow.from === "coordinator" ? x1 : x2;
  const inward = Math.sign(near - far) || -1;
  const x = far + (inward * Math.min(place.gap, Math.abs(x2 - x1))) / 2;
  const part = x1 === x2 ? 0.5 : (x - x1) / (x2 - x1);
  const text = place.gap < ROOMY ? label(arrow).split(" ")[0] : label(arrow);
  return s("g", { class: look(arrow, faint) },
    s("text", { class: "caption", x, y: y1 + (y2 - y1) * part - 4, "text-anchor": "middle" }, isNo(arrow) ? `✕ ${text}` : text));
}

function marks(plan, at, place, faint) {
  const drawn = [];
  const rows = new Map();
  for (const step of plan.steps) {
    const { event, row } = step;
    const x = place.x(event.process);
    const y = place.y(row);
    const later = faint(at.get(step));
    if (event.what === "recorded") {
      const key = `${event.process} ${row}`;
      if (rows.has(key)) rows.get(key).events.push(event);
      else rows.set(key, { events: [event], x, y, later });
    } else if (event.what === "synced") {
      drawn.push(s("g", { class: `sync${later}` },
        s("rect", { class: "sync-bar", x: x - 7, y: y - 7, width: 14, height: 14, rx: 3 }),
        glyph("disk", x, y, 11, "disk", `${event.process} synced`),
        place.roomy ? s("text", { class: "sync-time", x: x + 12, y: y + 3.5 }, event.took_us === undefined ? "sync" : span(event.took_us)) : ""));
    } else if (["died", "started", "restarted", "froze", "thawed"].includes(event.what)) {
      const drawing = { died: "skull", froze: "freeze", thawed: "sun", started: "play", restarted: "again" }[event.what];
      drawn.push(s("g", { class: `fate ${event.what}${later}` },
        s("circle", { cx: x, cy: y, r: 9.5 }),
        glyph(drawing, x, y, 13, "fate-glyph", meaning(event)),
        s("text", { class: "fate-text", x: x + 14, y: y + 4 }, event.what === "died" ? "dies" : event.what === "froze" ? "frozen" : event.what === "thawed" ? "thaws" : "back")));
    }
  }
  for (const { events, x, y, later } of rows.values()) drawn.push(pill(events, x, y, later, place));
  return drawn;
}

function pill(events, x, y, later, place) {
  const kinds = new Map();
  for (const { kind } of events) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const text = [...kinds].map(([kind, times]) => (times > 1 ? `${kind} ×${times}` : kind)).join(" · ");
  const decision = events.find(({ kind }) => kind === "COMMIT" || kind === "ABORT");
  const forced = events.some((event) => event.forced);
  const room = place.gap >= 74;
  return s("g", { class: `record${forced ? " forced" : ""}${events.every((event) => event.inferred) ? " inferred" : ""}${decision ? ` decision ${decision.kind}` : ""}${later}` },
    decision
      ? s("path", { class: "record-mark", d: `M${x} ${y - 9}L${x + 9} ${y} ${x} ${y + 9} ${x - 9} ${y}z` })
      : s("rect", { class: "record-mark", x: x - 4.5, y: y - 4.5, width: 9, height: 9, rx: 1.5 }),
    room ? s("text", { class: "record-name", x: x + (decision ? 13 : 10), y: y + 3.8 }, text) : "");
}

// The place to press. It is a button of its own, since the drawing under it may be one pixel wide.
function target(step, index, place, plan, chosen, current) {
  const x = place.x(step.lane);
  const y = place.y(step.row);
  const { event } = step;
  const said = `${clock(event.at_us)} ${event.process} ${event.what} ${event.line ?? event.kind ?? ""}`;
  const circle = s("circle", { class: `target${current ? " current" : ""}`, cx: x, cy: y, r: 10, data: { step: index } }, s("title", {}, `${said}\n${meaning(event)}`));
  circle.addEventListener("click", () => chosen(index));
  return circle;
}

function glyph(name, x, y, size, look, title) {
  const scale = size / 16;
  return s("g", { class: `glyph ${look}`, transform: `translate(${x - size / 2} ${y - size / 2}) scale(${scale})` },
    s("title", {}, title), s("path", { d: path(name) }));
}

function hatch() {
  return s("defs", {},
    s("pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      s("rect", { class: "hatch-ground", width: 5, height: 5 }), s("line", { class: "hatch-line", x1: 0, y1: 0, x2: 0, y2: 5 })));
}
