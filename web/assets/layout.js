// Where everything of a transaction stands in its diagram: lanes, rows, arrows. Knows no pixels.
//
// Rows are logical time (Lamport's clocks): an event stands one row below what happened before it in the same process,
// and below the sending of what it received. So whatever could have happened at once stands side by side, and every arrow
// points down. Where nothing happened for long, or somebody died, real time is what matters: all that came later stands below.

/** How many rows an arrow that arrives nowhere falls. */
const LOST_ROWS = 1;
/** A pause of this many microseconds is drawn as one. */
const PAUSE_US = 150_000;
/** What happened this much earlier, in microseconds, stands higher whether it had to or not. */
const EARLIER_US = 25_000;

const FATES = new Set(["died", "started", "restarted", "froze", "thawed"]);

/**
 * @returns `{lanes: [name], steps: [{event, row, lane, arrow?}], arrows: [{step, from, to, kind, line, fromRow, toRow, state}],
 * pauses: [{row, us}], rows}`
 * `steps` is the order in which to tell the story: no effect before its cause. An arrow's `state` is "arrived", "flying" or "lost".
 */
export function layout(events, nodes) {
  const lanes = laneNames(events, nodes);
  const shown = events.filter((event) => !superseded(event, events));
  const pairs = pair(shown);
  const steps = order(shown, pairs);
  const next = new Map(lanes.map((name) => [name, 0]));
  const byEvent = new Map();
  const pauses = [];
  let floor = 0; // Nothing that is still to come stands higher.
  let deepest = -1;
  let before_us = null;
  let earlier = 0; // So many steps are long past.
  const breath = new Map();
  for (const step of steps) {
    const { event } = step;
    const lane = event.process;
    const cause = byEvent.get(pairs.causeOf.get(event));
    if (before_us !== null && event.at_us - before_us >= PAUSE_US) {
      pauses.push({ row: deepest + 1, us: event.at_us - before_us });
      floor = deepest + 2;
    }
    before_us = Math.max(before_us ?? 0, event.at_us);
    for (; steps[earlier].event.at_us + EARLIER_US < event.at_us; earlier++) floor = Math.max(floor, steps[earlier].row + 1);
    let row = Math.max(floor, next.get(lane) ?? 0);
    // What the client says has no event at the client: it stands one row above where it is heard.
    if (event.what === "received" && event.peer === "client") row = Math.max(row, (next.get("client") ?? 0) + 1);
    if (cause) row = Math.max(row, cause.row + 1);
    // One breath, one row: what a process sends to several, or writes without waiting.
    const before = breath.get(lane);
    if (before && before.row >= floor && before.event.what === event.what && together(before.event, event)) row = before.row;
    step.row = row;
    step.lane = lane;
    next.set(lane, row + 1);
    deepest = Math.max(deepest, row);
    if (FATES.has(event.what)) floor = Math.max(floor, row + 1);
    breath.set(lane, step);
    byEvent.set(event, step);
  }
  const arrows = steps.flatMap((step) => arrow(step, pairs, byEvent));
  const rows = Math.max(1, ...steps.map((step) => step.row), ...arrows.map((one) => one.toRow)) + 1;
  return { lanes, steps, arrows, pauses, rows };
}

function laneNames(events, nodes) {
  const involved = new Set();
  for (const { process, peer } of events) {
    involved.add(process);
    if (peer) involved.add(peer);
  }
  const known = nodes.length <= 3 ? nodes : nodes.filter((node) => involved.has(node));
  const others = [...involved].filter((name) => name !== "client" && name !== "coordinator" && !known.includes(name));
  return ["client", "coordinator", ...[...known, ...others].sort(natural)];
}

const natural = (one, other) => one.localeCompare(other, "en", { numeric: true });

// A message that was held and then let go is shown once, as sent.
function superseded(event, events) {
  return event.what === "held" && events.some((other) => other.what === "sent" && other.process === event.process
    && other.peer === event.peer && other.kind === event.kind && other.at_us >= event.at_us);
}

function together(before, event) {
  if (event.what === "sent" || event.what === "held") return before.kind === event.kind && before.peer !== event.peer;
  return event.what === "recorded" && !before.forced && !event.forced;
}

// Which sending belongs to which receipt: first sent, first received, as on a TCP connection. What was on its way to a
// process that died is lost with it.
function pair(events) {
  const causeOf = new Map();
  const effectOf = new Map();
  const lost = new Set();
  const waiting = new Map();
  const received = new Map();
  for (const event of events) {
    const key = event.what === "sent" ? `${event.process}>${event.peer} ${event.kind}` : `${event.peer}>${event.process} ${event.kind}`;
    if (event.what === "sent") {
      // Clocks of one machine can be read a moment late: a receipt may carry an earlier time than its sending.
      const early = received.get(key)?.shift();
      if (early) link(event, early);
      else push(waiting, key, event);
    } else if (event.what === "received") {
      const cause = waiting.get(key)?.shift();
      if (cause) link(cause, event);
      else push(received, key, event);
    } else if (["died", "started", "restarted"].includes(event.what)) {
      for (const [key, list] of waiting) {
        if (!key.startsWith(`${event.process}>`) && !key.includes(`>${event.process} `)) continue;
        list.splice(0).forEach((one) => lost.add(one));
      }
    }
  }
  function link(cause, effect) {
    causeOf.set(effect, cause);
    effectOf.set(cause, effect);
  }
  return { causeOf, effectOf, lost };
}

function push(map, key, value) {
  if (!map.has(key)) map.set(key, []);
  map.get(key).push(value);
}

// By time, but never an effect before its cause, and never out of order within one process.
function order(events, { causeOf }) {
  const told = new Set();
  const steps = [];
  const queues = new Map();
  for (const event of events) push(queues, event.process, event);
  const heads = () => [...queues.values()].filter((queue) => queue.length > 0).map((queue) => queue[0]);
  for (;;) {
    const waiting = heads();
    if (waiting.length === 0) return steps;
    const ready = waiting.filter((event) => !causeOf.has(event) || told.has(causeOf.get(event)));
    // A circle can only come from clocks that disagree; time then decides.
    const [first] = (ready.length > 0 ? ready : waiting).sort((one, other) => one.at_us - other.at_us);
    queues.get(first.process).shift();
    told.add(first);
    steps.push({ event: first });
  }
}

function arrow(step, { causeOf, effectOf, lost }, byEvent) {
  const { event, row } = step;
  const line = { step, kind: event.kind, line: event.line };
  if (event.what === "sent") {
    const effect = byEvent.get(effectOf.get(event));
    const state = effect || event.peer === "client" ? "arrived" : lost.has(event) ? "lost" : "flying";
    return [{ ...line, from: event.process, to: event.peer, fromRow: row, toRow: effect ? effect.row : row + LOST_ROWS, state, end: effect }];
  }
  if (event.what === "held") {
    return [{ ...line, from: event.process, to: event.peer, fromRow: row, toRow: row + LOST_ROWS, state: "held" }];
  }
  // Its sender was not watched, or died before it could tell: the client, always.
  if (event.what === "received" && !causeOf.has(event)) {
    return [{ ...line, from: event.peer, to: event.process, fromRow: Math.max(0, row - 1), toRow: row, state: "arrived" }];
  }
  return [];
}
