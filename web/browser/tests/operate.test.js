// Operations and the demos of concurrency: what the page says is what the API and the command line say.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, expect } from "../lib/expect.js";
import { CONSERVED, stage } from "../lib/stage.js";

const on = stage();
const result = (page) => page.locator(".results > li").first();

test("a transfer moves the money it says, and shows its command line", async () => {
  const page = await on.open("#/operate");
  const before = await on.cluster.balances();
  await page.getByLabel("Amount").fill("25");
  await expect(page.locator(".cli code"), "text", `twopence transfer N1/A N2/B 25 --coord 127.0.0.1:${on.cluster.coordinator}`);
  await page.locator("button[type=submit]", { hasText: "Transfer" }).click();
  await expect(result(page), "text", /committed/);
  const [a, b, c] = await on.cluster.balances();
  assert.deepEqual([a, b, c], [before[0] - 25, before[1] + 25, before[2]]);
  await expect(page.locator("[data-account='N1/A'] td.num"), "text", String(a).replace(/\B(?=(\d{3})+$)/g, "\u2009"));
  await expect(page.locator("#badge-text"), "text", CONSERVED);
});

test("the command line can be copied", async () => {
  const page = await on.open("#/operate");
  await page.getByLabel("Copy the command").click();
  const copied = await eventually(() => page.evaluate(() => navigator.clipboard.readText()));
  assert.match(copied, /^twopence transfer N1\/A N2\/B 10/);
});

test("a balance that is read is the balance", async () => {
  const page = await on.open("#/operate");
  await page.getByText("Read balance").first().click();
  await page.locator("form").getByLabel("Account").fill("N2/B");
  await page.locator("button[type=submit]").click();
  const shown = await expect(page.locator(".result .balance"), "text", /^\d+$/);
  assert.equal(Number(shown), await on.cluster.balance("N2/B"));
  assert.equal((await on.cluster.cli("balance", "N2/B")).trim(), shown);
});

test("several legs happen all or none", async () => {
  const page = await on.open("#/operate");
  const before = await on.cluster.balances();
  await page.getByText("Several legs").click();
  await page.locator("button[type=submit]").click();
  await expect(result(page), "text", /committed/);
  assert.deepEqual(await on.cluster.balances(), [before[0] - 30, before[1] + 10, before[2] + 20]);
});

test("a transfer of too much aborts, says why, and moves nothing", async () => {
  const page = await on.open("#/operate");
  const before = await on.cluster.balances();
  await page.getByLabel("Amount").fill("1000000");
  await page.locator("button[type=submit]").click();
  await expect(result(page), "text", /aborted[\s\S]*insufficient_funds_on_A/);
  assert.deepEqual(await on.cluster.balances(), before);
});

test("an order that makes no sense is refused in words", async () => {
  const page = await on.open("#/operate");
  await page.getByLabel("From").fill("not an account");
  await page.locator("button[type=submit]").click();
  await expect(page.locator(".notice.bad"), "text", /No money moved|not/);
});

test("three concurrent transfers all commit", async () => {
  const page = await on.open("#/operate");
  const before = await on.cluster.balances();
  await page.getByText("Three concurrent transfers").click();
  await expect(result(page).locator(".verdict"), "class", /good/);
  assert.match(await result(page).innerText(), /3000 = 3000/);
  assert.deepEqual(await on.cluster.balances(), [before[0] + 20, before[1], before[2] - 20]);
});

test("of a conflicting pair one commits, and the other aborts on B's lock and names its holder", async () => {
  const page = await on.open("#/operate");
  const before = await on.cluster.balances();
  await page.getByText("Conflicting pair").click();
  await expect(result(page).locator(".verdict"), "class", /good/);
  const rows = await result(page).locator(".outcomes tbody tr").allInnerTexts();
  assert.equal(rows.filter((row) => /committed/.test(row)).length, 1);
  assert.equal(rows.filter((row) => /aborted/.test(row) && /lock_contention_on_B/.test(row) && /held by/.test(row)).length, 1);
  const after = await on.cluster.balances();
  assert.equal(after.reduce((sum, one) => sum + one), before.reduce((sum, one) => sum + one));
});

test("a transfer repeated fifty times moves fifty times as much", async () => {
  const page = await on.open("#/operate");
  const before = await on.cluster.balances();
  await page.getByText("Repeat × N").click();
  await page.locator("button[type=submit]").click();
  await expect(result(page), "text", /3000 = 3000/);
  assert.deepEqual(await on.cluster.balances(), [before[0] - 50, before[1] + 50, before[2]]);
});

test("a deposit opens its account, and the badge counts what was brought in", async () => {
  const page = await on.open("#/operate");
  await page.getByText("Deposit", { exact: true }).first().click();
  await page.locator("form").getByLabel(/Account/).fill("N1/new");
  await page.locator("button[type=submit]").click();
  await expect(result(page), "text", /committed/);
  assert.equal(await on.cluster.balance("N1/new"), 100);
  await expect(page.locator("#badge-text"), "text", "Money conserved: 3100 = 3100");
});
