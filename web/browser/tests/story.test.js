// What the page makes of events, without a browser: what must have happened unseen, and where everything stands.

import assert from "node:assert/strict";
import { test } from "node:test";
import { infer } from "../../assets/infer.js";
import { layout } from "../../assets/layout.js";
import { fold } from "../../assets/transaction.js";

const TXN = "e564db4618d116c3-1-7";

// `N1 ← coordinator prepare t A -1` as an event; times come from the order, `gap` microseconds apart.
function events(text, gap = 100) {
  return text.trim().split("\n").map((line, at) => {
    const [, process, arrow, peer, words] = line.trim().match(/^(\S+) (←|→|!|·) (?:(client|coordinator|N\d) )?(.*)$/);
    const what = { "←": "received", "→": "sent", "!": "recorded", "·": "synced" }[arrow];
    const [kind] = words.split(" ");
    return { process, what, kind, peer, line: words.replace(" t", ` ${TXN}`), at_us: (at + 1) * gap, txn: TXN, forced: what === "recorded" && /prepare_ok|COMMIT/.test(kind), seq: at };
  });
}

const WHOLE = events(`
  coordinator ← client submit 01a2 N1/A:-1 N2/B:+1
  coordinator ! START t N1/A:-1 N2/B:+1
  coordinator → N1 prepare t A -1
  coordinator → N2 prepare t B +1
  N1 ← coordinator prepare t A -1
  N2 ← coordinator prepare t B +1
  N1 ! prepare_ok t A -1
  N2 ! prepare_ok t B +1
  N1 → coordinator vote t yes
  N2 → coordinator vote t yes
  coordinator ← N1 vote t yes
  coordinator ← N2 vote t yes
  coordinator ! COMMIT t
  coordinator → client outcome committed t
  coordinator → N1 commit t
  coordinator → N2 commit t
  N1 ← coordinator commit t
  N2 ← coordinator commit t
  N1 ! commit t
  N2 ! commit t
  N1 → coordinator ack t
  N2 → coordinator ack t
  coordinator ← N1 ack t
  coordinator ← N2 ack t
  coordinator ! COMPLETE t`);

test("a whole story adds up, and nothing has to be inferred", () => {
  assert.deepEqual(infer(WHOLE), WHOLE);
  const sum = fold(TXN, WHOLE);
  assert.equal(sum.outcome, "committed");
  assert.equal(sum.finished, true);
  assert.equal(sum.retries, 0);
  assert.deepEqual(sum.legs, [{ node: "N1", account: "A", delta: -1 }, { node: "N2", account: "B", delta: 1 }]);
  assert.deepEqual(sum.locks.map(({ node, account, from, to }) => [node, account, to > from]), [["N1", "A", true], ["N2", "B", true]]);
  assert.equal(sum.doubt.size, 0);
});

test("no effect stands above its cause, and what a process says to several at once stands in one row", () => {
  const { steps, arrows } = layout(WHOLE, ["N1", "N2"]);
  for (const arrow of arrows) assert.ok(arrow.toRow > arrow.fromRow, `${arrow.line} rises`);
  const rows = (kind) => new Set(steps.filter(({ event }) => event.kind === kind && event.what === "sent").map(({ row }) => row));
  assert.equal(rows("prepare").size, 1);
  assert.equal(rows("commit").size, 1);
  assert.ok(arrows.every(({ state }) => state === "arrived"));
});

test("clocks that are read a moment late turn no arrow upside down", () => {
  const late = WHOLE.map((event) => (event.process === "coordinator" ? { ...event, at_us: event.at_us + 350 } : event)).sort((one, other) => one.at_us - other.at_us);
  for (const arrow of layout(late, ["N1", "N2"]).arrows) assert.ok(arrow.toRow > arrow.fromRow, `${arrow.line} rises`);
});

test("of a node that died with what it saw, the vote that arrived tells of its promise and of its death", () => {
  const back = events("N2 → coordinator inquiry t").map((event) => ({ ...event, at_us: 60_000 }));
  const left = [...WHOLE.filter(({ process, at_us }) => process !== "N2" && at_us <= 1700), ...back];
  const story = infer(left);
  const own = story.filter(({ process }) => process === "N2").map(({ what, kind, inferred }) => [what, kind, Boolean(inferred)]);
  assert.deepEqual(own, [["received", "prepare", true], ["recorded", "prepare_ok", true], ["sent", "vote", true], ["died", "died", true], ["started", "started", true], ["sent", "inquiry", false]]);
  assert.deepEqual([...fold(TXN, story).doubt.keys()].sort(), ["N1", "N2"]);
});

test("a COMMIT that was told was on disk before, although who wrote it died", () => {
  const back = events("coordinator → N1 commit t\nN1 ← coordinator commit t\nN1 ! commit t").map((event) => ({ ...event, at_us: 80_000 + event.at_us }));
  const left = [...WHOLE.filter(({ process, at_us }) => process !== "coordinator" && at_us <= 1000), ...back];
  const own = infer(left).filter(({ process, inferred }) => process === "coordinator" && inferred).map(({ what, kind }) => `${what} ${kind}`);
  assert.deepEqual(own.slice(-3), ["recorded COMMIT", "died died", "started started"]);
  assert.equal(own.filter((one) => one === "received vote").length, 2);
});

test("who was never told COMMIT tells of none", () => {
  const left = WHOLE.filter(({ process, at_us }) => process !== "coordinator" && at_us <= 1000);
  assert.ok(!infer(left).some(({ kind }) => kind === "COMMIT"));
  assert.equal(fold(TXN, infer(left)).outcome, "open");
});
