// What the page remembers, and how much of it: transactions, numbers, processes, logs. Everything here has a limit.

import { Emitter } from "./emitter.js";
import { Ring } from "./ring.js";
import { Transaction } from "./transaction.js";

const TRANSACTIONS_MAX = 150;
const NUMBERS_MAX = 600; // Ten minutes, one a second.
const LOGS_MAX = 3000;
/** A transaction that ended this long ago still has to do with what happens to its processes. */
const LATELY_US = 1_500_000;
const SOON_US = 400_000;

export class Memory extends Emitter {
  /** By id, oldest first. */
  transactions = new Map();
  numbers = new Ring(NUMBERS_MAX);
  logs = new Ring(LOGS_MAX);
  /** What is known of each process, by name. */
  processes = new Map();
  sampling = { every: 1, dropped: 0, note: "" };
  audit = null;
  step = { on: false, holding: [] };
  /** The id that somebody looks at: it is never pushed out. */
  pinned = null;
  #logSeen = 0;

  /** Remembers all that `stream` tells. */
  follow(stream) {
    stream.on("sight", (event) => this.sight(event));
    stream.on("sampling", (sampling) => this.#set("sampling", sampling));
    stream.on("audit", (audit) => this.#set("audit", audit));
    stream.on("step", (step) => this.#set("step", step));
    stream.on("numbers", (numbers) => {
      this.numbers.push(numbers);
      this.emit("numbers", numbers);
    });
    stream.on("process", (process) => this.#process(process));
    stream.on("log", (line) => this.log(line));
  }

  /** Takes in a line of a process's log. Lines are numbered; what was told before is not told again. */
  log(line) {
    if (line.n <= this.#logSeen) return;
    this.#logSeen = line.n;
    this.logs.push(line);
    this.emit("log", line);
  }

  /** Takes in lines from before anybody listened, in whatever order they and the live ones came. */
  logsBefore(lines) {
    const all = new Map([...lines, ...this.logs.all()].map((line) => [line.n, line]));
    this.logs.clear();
    [...all.values()].sort((one, other) => one.n - other.n).forEach((line) => this.logs.push(line));
    this.#logSeen = this.logs.last()?.n ?? 0;
  }

  /** The lines are another server's from now on. */
  forgetLogs() {
    this.logs.clear();
    this.#logSeen = 0;
  }

  /** Takes in one event of one transaction. */
  sight(event) {
    if (!event.txn) return;
    const transaction = this.transaction(event.txn);
    if (transaction.add(event)) this.emit("transaction", transaction);
  }

  /** The transaction with this id; a new one if it was never heard of. */
  transaction(id) {
    let transaction = this.transactions.get(id);
    if (!transaction) {
      transaction = new Transaction(id);
      this.transactions.set(id, transaction);
      this.#forget();
      this.emit("new", transaction);
    }
    return transaction;
  }

  /** Drops everything: the cluster is another one now. */
  forgetAll() {
    this.transactions.clear();
    this.numbers.clear();
    this.forgetLogs();
    this.emit("forgotten");
  }

  #forget() {
    for (const id of this.transactions.keys()) {
      if (this.transactions.size <= TRANSACTIONS_MAX) return;
      if (id !== this.pinned) this.transactions.delete(id);
    }
  }

  #set(name, value) {
    this[name] = value;
    this.emit(name, value);
  }

  // A death matters to the transactions that were open then, so it becomes an event of theirs.
  #process(process) {
    const before = this.processes.get(process.name);
    this.processes.set(process.name, process);
    const what = before && change(before, process);
    if (what) {
      const now_us = Date.now() * 1000;
      for (const transaction of this.transactions.values()) {
        const { finished, ended } = transaction.summary();
        if ((finished && now_us - ended > LATELY_US) || !transaction.involves(process.name)) continue;
        const at_us = what === "died" ? diedAt(transaction.events, now_us) : now_us;
        transaction.add({ at_us, process: process.name, txn: transaction.id, what, kind: what, line: process.why ?? what });
        this.emit("transaction", transaction);
      }
    }
    this.emit("process", process);
  }
}

// We hear of a death a little late: if the transaction was at work just now, it was at the last that was seen of it.
function diedAt(events, now_us) {
  const last = events.at(-1)?.at_us ?? now_us;
  return now_us - last < SOON_US ? last + 1 : now_us;
}

const ALIVE = new Set(["running", "frozen"]);

function change(before, now) {
  if (ALIVE.has(before.state) && !ALIVE.has(now.state)) return "died";
  if (ALIVE.has(before.state) && now.state === "running" && before.pid !== now.pid) return "restarted";
  if (!ALIVE.has(before.state) && now.state === "running") return "started";
  if (before.state !== "frozen" && now.state === "frozen") return "froze";
  if (before.state === "frozen" && now.state === "running") return "thawed";
  return null;
}
