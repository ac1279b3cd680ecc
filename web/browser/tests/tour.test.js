// The guided tour: offered once, six cards, each does what it says.

import assert from "node:assert/strict";
import { test } from "node:test";
import { expect } from "../lib/expect.js";
import { CONSERVED, stage } from "../lib/stage.js";

const on = stage();

test("the tour is offered to a newcomer, once", async () => {
  const page = await on.open("", { newcomer: true });
  await expect(page.locator("#tour"), "text", /First time here/);
  await page.locator("#tour-dismiss").click();
  assert.equal(await page.locator("#tour").isVisible(), false);
  await page.reload();
  await expect(page.locator("#link"), "data-state", "open");
  assert.equal(await page.locator("#tour").isVisible(), false);
});

test("each of the six cards does what it says, and points at what to see", async () => {
  const page = await on.open("", { newcomer: true });
  await page.locator("#tour-start").click();
  const outcome = page.locator(".tour-outcome");
  const pointed = () => page.locator(".pointed").count();
  const next = async (card) => {
    await page.locator("#tour-next").click();
    await expect(page.locator("#tour"), "data-card", String(card));
    assert.equal(await pointed(), 0);
  };
  const act = async (name, wanted) => {
    await page.locator(`#tour [data-act="${name}"]`).click();
    await expect(outcome, "text", wanted);
    await expect(page.locator(".pointed"), "class", /pointed/);
  };

  const before = await on.cluster.balances();
  await act("do", /Committed/);
  assert.deepEqual(await on.cluster.balances(), [before[0] - 10, before[1] + 10, before[2]]);

  await next(2);
  await act("do", /Aborted: insufficient_funds_on_A/);
  await expect(page.locator(".receipt"), "text", /A holds less than what would be taken/);

  await next(3);
  await act("do", /\S/);
  await expect(page.locator(".receipt"), "text", /lock_contention_on_B/);

  await next(4);
  await act("do", /\S/);
  await expect(page.locator(".stage .fate"), "class", /died|started|restarted/);

  await next(5);
  await act("before_commit", /\S/);
  await expect(page.locator(".receipt-outcome"), "text", /aborted/);
  await act("after_commit", /\S/);
  await expect(page.locator(".receipt-outcome"), "text", /committed/);

  await next(6);
  await act("do", /3000 = 3000/);
  await expect(page.locator("#badge"), "class", /green/);
  await expect(page.locator("#badge-text"), "text", CONSERVED);
  await page.locator("#tour-end").click();
  assert.equal(await page.locator("#tour").isVisible(), false);
});
