// What each step means, in plain words: the caption under the diagram.

import { delta, short, span } from "./format.js";

const VOICE = {
  submit: (e) => `The client asks the coordinator: ${operands(e, 2) || "move this money"}. Nothing has happened yet.`,
  prepare: (e) => e.what === "sent"
    ? `The coordinator asks ${e.peer}: can you do ${operands(e, 2)}? Promise, and keep it whatever happens.`
    : `${e.process} is asked to promise ${operands(e, 2)}. It checks the account and takes its lock.`,
  execute: (e) => `Only ${node(e)} is touched, so there is nothing to agree on: it may decide by itself, in one record.`,
  executed: (e) => `${node(e)} says how the one-node transaction ended.`,
  vote: vote,
  commit: (e) => e.what === "sent"
    ? `The decision is on disk, so ${e.peer} may be told: COMMIT. It will be told again until it acknowledges.`
    : `${e.process} hears COMMIT. It does what it promised; from now on it cannot be in doubt.`,
  abort: (e) => e.what === "sent"
    ? `${e.peer} is told: ABORT. It gives up its promise and unlocks.`
    : `${e.process} hears ABORT: nothing changes here, and the lock is free again.`,
  ack: (e) => e.what === "sent"
    ? `${e.process} has it on disk and says so: the coordinator may forget about ${e.process}.`
    : `The coordinator hears that ${e.peer} has it on disk.`,
  inquiry: (e) => `${e.what === "sent" ? e.process : e.peer} is in doubt and asks how it ended. It never guesses; it asks until somebody with authority answers.`,
  query: (e) => `The coordinator asks ${node(e)} how a one-node transaction ended: only the node knows.`,
  pending: () => "The coordinator answers: still being decided.",
  recall: (e) => `Has this request been here before? The coordinator asks its home, ${node(e)}.`,
  recalled: (e) => `${node(e)} says what it knows of this request id.`,
  outcome: (e) => /committed/.test(e.line)
    ? "The client is told: committed. From here on no crash can undo it."
    : /aborted/.test(e.line)
      ? "The client is told: aborted. No money moved."
      : "The client is told that the outcome is unknown; the same request id may be sent again.",
};

const RECORDS = {
  START: () => "The coordinator notes that a transaction begins. Lost in a crash, it never began.",
  PREPARE: () => "The coordinator notes whom it asks. Not forced to disk: without a COMMIT it will mean abort anyway.",
  COMMIT: () => "The decision: COMMIT. Once this record is on disk it stands for ever, whoever dies.",
  ABORT: () => "The decision: ABORT. It needs no sync: a log without COMMIT already means abort.",
  COMPLETE: () => "Everybody has acknowledged: the coordinator may forget this transaction.",
  prepare_ok: (e) => `${e.process} writes its promise, with all that COMMIT will need. From its vote on it is in doubt: locked, and not allowed to guess.`,
  prepare_failed: (e) => `${e.process} cannot promise, and writes down why.`,
  commit: (e) => `${e.process} applies the change and unlocks. Lazy: the next sync takes it along.`,
  abort: (e) => `${e.process} gives up its promise and unlocks.`,
  commit_one_phase: (e) => `${e.process} checks and commits in one record: with one participant the node decides.`,
  resolve: (e) => `An operator's word ends it on ${e.process}.`,
};

const FATES = {
  died: (e) => `${e.process} is dead. What it had not synced may be gone; what it had promised is on its disk.`,
  started: (e) => `${e.process} is back: it reads its log, takes its locks again, and asks about what is open.`,
  restarted: (e) => `${e.process} died and is back: it read its log and took its locks again.`,
  froze: (e) => `${e.process} is frozen: alive, and silent.`,
  thawed: (e) => `${e.process} goes on as if nothing had happened.`,
};

/** What this event means. */
export function meaning(event) {
  const inferred = event.inferred && !FATES[event.what] ? " (Nobody is left who saw it; it follows from what came after.)" : "";
  return plainly(event) + inferred;
}

function plainly(event) {
  if (event.what === "synced") {
    const took = event.took_us === undefined ? "" : ` in ${span(event.took_us)}`;
    return `${name(event.process)} has it on disk${took} (fsync). Only now may anybody be told what the record says.`;
  }
  if (event.what === "held") return `Step mode: the coordinator holds “${event.kind}” to ${event.peer} back. Press Next message to let it go.`;
  if (FATES[event.what]) return FATES[event.what](event);
  const voice = event.what === "recorded" ? RECORDS[event.kind] : VOICE[event.kind];
  return voice ? voice(event) : `${name(event.process)}: ${event.what} ${event.line ?? event.kind}`;
}

/** A process as a person would call it. */
export function name(process) {
  return process === "coordinator" ? "The coordinator" : process === "client" ? "The client" : process;
}

/** A short label for an arrow: `prepare A −10`, `yes`, `no: lock_contention_on_B`. */
export function label({ kind, line = "" }) {
  const words = line.split(" ");
  if (kind === "prepare" || kind === "execute") return `${kind} ${operands({ line }, 2)}`.trim();
  if (kind === "vote") return / yes\b/.test(line) ? "yes" : "no";
  if (kind === "commit" || kind === "abort") return kind.toUpperCase();
  if (kind === "outcome") return words[0] === "outcome" ? words[1] : words[0];
  if (kind === "executed") return words[2] ?? kind;
  if (kind === "inquiry") return "inquiry?";
  return kind;
}

/** A reason as a sentence. */
export function because(reason) {
  if (!reason) return "";
  const rules = [
    [/^insufficient_funds_on_(.+)$/, (it) => `${it} holds less than what would be taken`],
    [/^lock_contention_on_(.+)$/, (it) => `another transaction held ${it}`],
    [/^unknown_account_(.+)$/, (it) => `there is no account ${it}`],
    [/^credit_overflow_on_(.+)$/, (it) => `${it} cannot hold that much`],
    [/^unknown_node_(.+)$/, (it) => `the coordinator knows no node ${it}`],
    [/^cannot_reach_(.+)$/, (it) => `${it} could not be reached before the decision`],
    [/^no_vote_in_time_from_(.+)$/, (it) => `${it} did not vote in time`],
    [/^quarantined_(.+)$/, (it) => `${it} is quarantined until somebody adopts it`],
    [/^disk_full_on_(.+)$/, (it) => `${it}'s disk is full`],
    [/^coordinator_restarted$/, () => "the coordinator stopped before it decided"],
    [/^presumed_abort$/, () => "no record of a decision means abort"],
    [/^duplicate_attempt$/, () => "another attempt of the same request is the one that counts"],
    [/^audit_in_progress$/, () => "an audit held new transactions back"],
    [/^operator_decision$/, () => "an operator decided so"],
  ];
  for (const [pattern, say] of rules) {
    const found = reason.match(pattern);
    if (found) return say(found[1]);
  }
  return reason.replaceAll("_", " ");
}

function vote(e) {
  const who = e.what === "sent" ? e.process : e.peer;
  if (/ yes\b/.test(e.line)) {
    return e.what === "sent"
      ? `${who} votes yes. Its promise is on disk: it can commit even after a crash, and it is now in doubt.`
      : `The coordinator hears yes from ${who}.`;
  }
  const holder = e.line.match(/held by ([0-9a-f-]+)/)?.[1];
  const reason = e.line.match(/ no ([a-z]\S*)/)?.[1];
  return `${who} votes no: ${because(reason)}${holder ? ` (transaction ${short(holder)})` : ""}. One no is enough to abort.`;
}

function node(event) {
  return event.process === "coordinator" ? event.peer : event.process;
}

// `prepare t7 A -10 B +5` → `A −10, B +5`; `submit id N1/A:-10` → `N1/A −10`.
function operands({ line = "" }, from) {
  const words = line.split(" ").slice(from).filter((word) => !word.startsWith("("));
  const parts = [];
  for (let at = 0; at < words.length; at++) {
    const placed = words[at].match(/^(\S+):([+-]\d+)$/);
    if (placed && placed[1].endsWith("/@world")) continue;
    if (placed) parts.push(`${placed[1]} ${delta(Number(placed[2]))}`);
    // What a deposit takes from outside is the other side of what it gives.
    else if (words[at] === "@world") at += 1;
    else if (/^[+-]\d+$/.test(words[at + 1] ?? "")) parts.push(`${words[at]} ${delta(Number(words[++at]))}`);
  }
  return parts.join(", ");
}
