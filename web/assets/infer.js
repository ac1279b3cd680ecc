// What must have happened although nobody saw it. A process that is killed takes with it what it had not told yet; but the
// protocol's rules say what came before what was seen, so the diagram can be whole, and say which parts it has from where.
//
// - A vote that arrived was sent, and a yes was on disk before (R2): so was the PREPARE heard.
// - Whoever was told COMMIT was told it by somebody who had it on disk (R4), after every yes had arrived.

const START_US = 10_000;

/** The events with those that follow from them, oldest first. What is inferred says so: `inferred: true`. */
export function infer(events) {
  const story = new Story(events);
  const nodes = [...new Set(events.map(({ process, peer }) => [process, peer]).flat())].filter((name) => name && name !== "client" && name !== "coordinator");
  for (const node of nodes) story.promise(node);
  story.decision(nodes);
  story.returns(["coordinator", ...nodes]);
  return story.whole();
}

class Story {
  #seen;
  #added = [];

  constructor(events) {
    this.#seen = events;
  }

  whole() {
    if (this.#added.length === 0) return this.#seen;
    return [...this.#seen, ...this.#added].sort((one, other) => one.at_us - other.at_us);
  }

  #find(process, what, kind, peer) {
    return this.#seen.find((event) => event.process === process && event.what === what && event.kind === kind && (peer === undefined || event.peer === peer));
  }

  #has(process, what, kind, peer) {
    return Boolean(this.#find(process, what, kind, peer)) || this.#added.some((event) => event.process === process && event.what === what && event.kind === kind && (peer === undefined || event.peer === peer));
  }

  #add(process, at_us, what, kind, line, more = {}) {
    this.#added.push({ process, at_us, txn: this.#seen[0].txn, what, kind, line, inferred: true, ...more });
  }

  // The node's side, from the coordinator's.
  promise(node) {
    const vote = this.#find("coordinator", "received", "vote", node);
    if (!vote || this.#has(node, "sent", "vote")) return;
    const asked = this.#find("coordinator", "sent", "prepare", node);
    if (asked && !this.#has(node, "received", "prepare")) this.#add(node, asked.at_us + 1, "received", "prepare", asked.line, { peer: "coordinator" });
    if (asked && / yes\b/.test(vote.line) && !this.#has(node, "recorded", "prepare_ok")) {
      this.#add(node, asked.at_us + 2, "recorded", "prepare_ok", asked.line.replace("prepare", "prepare_ok"), { forced: true });
    }
    this.#add(node, vote.at_us - 1, "sent", "vote", vote.line, { peer: "coordinator" });
  }

  // The coordinator's side, from the nodes'.
  decision(nodes) {
    for (const node of nodes) {
      const asked = this.#find(node, "received", "prepare", "coordinator");
      if (asked && !this.#has("coordinator", "sent", "prepare", node)) this.#add("coordinator", asked.at_us - 1, "sent", "prepare", asked.line, { peer: node });
    }
    const commit = this.#seen.find(({ kind, what }) => kind === "commit" && (what === "sent" || what === "received"));
    if (!commit || this.#has("coordinator", "recorded", "COMMIT")) return;
    let last = 0;
    for (const node of nodes) {
      const vote = this.#find(node, "sent", "vote", "coordinator");
      if (!vote) continue;
      if (!this.#has("coordinator", "received", "vote", node)) this.#add("coordinator", vote.at_us + 1, "received", "vote", vote.line, { peer: node });
      last = Math.max(last, vote.at_us + 1);
    }
    this.#add("coordinator", last > 0 ? last + 1 : commit.at_us - 1, "recorded", "COMMIT", `COMMIT ${commit.txn}`, { forced: true });
  }

  // Who forgot its deeds died after the last of them, and was back before it spoke again. That is more exact than
  // the news of its death, which comes late.
  returns(processes) {
    for (const process of processes) {
      const last = Math.max(...this.#added.filter((event) => event.process === process).map(({ at_us }) => at_us));
      const next = this.#seen.find((event) => event.process === process && event.at_us > last && !FATES.has(event.what));
      // Less time than a process needs to start means that something was dropped on the way to us, not that it died.
      if (last === -Infinity || !next || next.at_us - last < START_US) continue;
      this.#seen = this.#seen.filter((event) => event.process !== process || !FATES.has(event.what));
      this.#add(process, last + 1, "died", "died", "died");
      this.#add(process, next.at_us - 1, "started", "started", "started");
    }
  }
}

const FATES = new Set(["died", "started", "restarted"]);
