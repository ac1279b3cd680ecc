// What the events of one transaction add up to: who takes part, what it moves, how it ended, who is in doubt.
//
// Events come from several processes and not in order; they are kept by time. The fold runs again when something was
// added and somebody asks, which costs little: a transaction has some fifty events, and never more than `EVENTS_MAX`.

import { infer } from "./infer.js";

const EVENTS_MAX = 400;

export class Transaction {
  /** Oldest first. */
  events = [];
  /** How many did not fit. */
  lost = 0;
  #summary = null;
  #story = null;
  #seen = new Set();

  constructor(id) {
    this.id = id;
  }

  /** Takes in an event, unless it is already known. Returns whether it was new. */
  add(event) {
    const key = `${event.process} ${event.what} ${event.kind} ${event.peer ?? ""} ${event.at_us} ${event.seq ?? ""}`;
    if (this.#seen.has(key)) return false;
    if (this.events.length >= EVENTS_MAX) {
      this.lost += 1;
      return false;
    }
    this.#seen.add(key);
    let at = this.events.length;
    while (at > 0 && later(this.events[at - 1], event)) at -= 1;
    this.events.splice(at, 0, event);
    this.#summary = null;
    this.#story = null;
    return true;
  }

  involves(process) {
    return this.events.some((event) => event.process === process || event.peer === process);
  }

  /** The events, with what must have happened although nobody saw it. */
  story() {
    this.#story ??= infer(this.events);
    return this.#story;
  }

  /** See `fold`. */
  summary() {
    this.#summary ??= fold(this.id, this.story());
    return this.#summary;
  }
}

function later(one, other) {
  if (one.at_us !== other.at_us) return one.at_us > other.at_us;
  // At the same microsecond what was sent comes before what was received.
  return one.what === "received" && other.what === "sent";
}

/** The summary of one transaction's events. */
export function fold(id, events) {
  const sum = {
    id,
    request: null,
    legs: [],
    outcome: "open", // open, committed, aborted
    reason: null,
    holder: null,
    finished: false,
    answered: null, // When the client was told, in µs.
    decided: null, // When the decision was on disk (or made, for an abort), in µs.
    began: events[0]?.at_us ?? 0,
    ended: events.at(-1)?.at_us ?? 0,
    doubt: new Map(), // node → when it began, for those still in doubt
    locks: [], // {node, account, from, to}
    syncs: [], // {process, at_us, took_us, through}
    messages: 0,
    retries: 0,
    deaths: [],
  };
  const sent = new Map();
  for (const event of events) {
    const { what, kind, process, at_us } = event;
    const words = (event.line ?? "").split(" ");
    if (what === "sent" || (what === "received" && event.peer === "client")) sum.messages += 1;
    if (what === "sent") {
      const key = `${process} ${event.peer} ${kind}`;
      sent.set(key, (sent.get(key) ?? 0) + 1);
      if (sent.get(key) > 1) sum.retries += 1;
    }
    if (what === "synced") sum.syncs.push({ process, at_us, took_us: event.took_us, through: event.seq });
    if (what === "died") sum.deaths.push(process);
    if (kind === "submit") {
      sum.request = words[1] ?? null;
      sum.legs = merge(sum.legs, placedLegs(words));
    }
    if (what === "recorded") record(sum, event, words);
    if (kind === "prepare" || kind === "execute") sum.legs = merge(sum.legs, nodeLegs(event, words));
    if (kind === "vote" || kind === "executed") refusal(sum, event.line);
    if (kind === "executed" && / committed$/.test(event.line)) settle(sum, "committed", at_us);
    if (kind === "abort") settle(sum, "aborted", at_us, words[2]);
    if (kind === "commit") settle(sum, "committed", at_us);
    if (kind === "outcome" && process === "coordinator") answer(sum, event, words);
  }
  for (const lock of sum.locks) lock.to ??= null;
  return sum;
}

function record(sum, { process, kind, at_us }, words) {
  if (kind === "START") sum.legs = merge(sum.legs, placedLegs(words));
  if (kind === "COMMIT") settle(sum, "committed", at_us);
  if (kind === "ABORT") settle(sum, "aborted", at_us, words[2]);
  if (kind === "COMPLETE" || kind === "ABORT") sum.finished = true;
  if (kind === "commit_one_phase") settle(sum, "committed", at_us);
  if (kind === "prepare_failed") settle(sum, "aborted", null, words[2]);
  if (kind === "prepare_ok") {
    sum.doubt.set(process, at_us);
    for (const account of words.slice(2).filter((word, at) => at % 2 === 0 && !word.startsWith("("))) {
      sum.locks.push({ node: process, account, from: at_us });
    }
  }
  if (kind === "commit" || kind === "abort" || kind === "resolve") {
    sum.doubt.delete(process);
    for (const lock of sum.locks) if (lock.node === process) lock.to ??= at_us;
  }
}

function settle(sum, outcome, at_us, reason) {
  if (sum.outcome === "open") {
    sum.outcome = outcome;
    sum.decided = at_us;
  }
  if (outcome === "aborted" && reason && !sum.reason) sum.reason = reason;
}

function answer(sum, event, words) {
  if (event.what !== "sent") return;
  sum.answered ??= event.at_us;
  // `outcome committed t7`, `outcome aborted t7 lock_contention_on_B (held by t6)`
  const word = words[0] === "outcome" ? words[1] : words[0];
  if (word === "committed") settle(sum, "committed", event.at_us);
  if (word === "aborted") {
    settle(sum, "aborted", event.at_us);
    refusal(sum, event.line);
  }
}

/** Reads `… no lock_contention_on_B (held by t6)`. */
function refusal(sum, line = "") {
  const reason = line.match(/\b(?:no|refused|aborted \S+) ([a-z_]+(?:_on_|_from_|_reach_|_node_|_account_|)\S*)/)?.[1];
  if (reason && reason !== "duplicate,") sum.reason ??= reason;
  const holder = line.match(/\(held by ([0-9a-f-]+)/)?.[1];
  if (holder) sum.holder ??= holder;
}

/** Legs as an order writes them: `N1/A:-10 N2/B:+10`. */
function placedLegs(words) {
  return words.map((word) => word.match(/^([^/\s]+)\/(\S+):([+-]\d+)$/)).filter(Boolean)
    .map(([, node, account, by]) => ({ node, account, delta: Number(by) }));
}

/** Legs as a prepare writes them, without the node: `prepare t7 A -10`. */
function nodeLegs(event, words) {
  const node = event.process === "coordinator" ? event.peer : event.process;
  const legs = [];
  for (let at = 2; at + 1 < words.length; at += 2) {
    if (/^[+-]\d+$/.test(words[at + 1])) legs.push({ node, account: words[at], delta: Number(words[at + 1]) });
  }
  return legs;
}

function merge(known, more) {
  const have = new Set(known.map((leg) => `${leg.node}/${leg.account}`));
  return [...known, ...more.filter((leg) => !have.has(`${leg.node}/${leg.account}`))];
}
