// Failures and recovery: both crash buttons, at every point, and a verdict that agrees with the balances.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, expect } from "../lib/expect.js";
import { CONSERVED, stage } from "../lib/stage.js";

const on = stage();

// Whether money must have moved; null where the moment of death decides.
const COORDINATOR = { none: null, prepare: false, before_commit: false, after_commit: true };
const NODE = { none: null, "received.prepare": false, "sent.vote": null, "append.commit": true, "sending.ack": true };

async function crash(page, button, before, moved) {
  await page.locator(button).click();
  const card = page.locator(".verdict");
  await expect(card, "class", /good/);
  const text = await card.innerText();
  assert.match(text, /3000 = 3000/);
  const after = await eventually(async () => {
    const now = await on.cluster.balances();
    const happened = now[0] === before[0] - 30 && now[1] === before[1] + 30;
    assert.ok(happened || (now[0] === before[0] && now[1] === before[1]), `half a transfer: ${before} became ${now}`);
    return now;
  });
  const happened = after[0] !== before[0];
  if (moved !== null) assert.equal(happened, moved, text);
  // Who dies before the request arrives leaves nothing to tell of.
  const [outcome = "aborted"] = await page.locator(".outcomes tbody tr").allInnerTexts();
  assert.match(outcome, happened ? /committed/ : /aborted/);
  await expect(page.locator("#badge-text"), "text", CONSERVED);
}

for (const [at, moved] of Object.entries(COORDINATOR)) {
  test(`the coordinator dies at ${at}, and the verdict says what came of it`, async () => {
    const page = await on.open("#/break");
    const before = await on.cluster.balances();
    await page.locator(`input[name=coordinator-at][value="${at}"]`).check({ force: true });
    await crash(page, "#crash-coordinator", before, moved);
  });
}

for (const [at, moved] of Object.entries(NODE)) {
  test(`a node dies at ${at}, and the verdict says what came of it`, async () => {
    const page = await on.open("#/break");
    const before = await on.cluster.balances();
    await page.locator(`input[name=node-at][value="${at}"]`).check({ force: true });
    await crash(page, "#crash-node-go", before, moved);
  });
}

test("a failpoint that is armed by hand acts once, and the node comes back", async () => {
  const page = await on.open("#/break");
  const pid = async () => (await on.cluster.get("/v1/control/cluster")).nodes[0].pid;
  const before = await pid();
  await page.getByText("Arm a failpoint yourself").click();
  await page.getByRole("button", { name: "Arm" }).click();
  await expect(page.locator(".notice.good"), "text", /N1 will meet sending.vote=kill/);
  await on.cluster.post("/v1/transactions", { from: "N1/A", to: "N2/B", amount: 1 });
  await eventually(async () => {
    const now = await pid();
    assert.ok(now !== null && now !== before);
  });
  await expect(page.locator("#badge-text"), "text", CONSERVED);
});
