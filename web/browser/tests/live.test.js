// The live view: the diagram grows, can be scrubbed, stepped, exported and linked to, and the receipt agrees with the API.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { open } from "../lib/browser.js";
import { Cluster } from "../lib/cluster.js";
import { eventually, expect } from "../lib/expect.js";
import { CONSERVED, stage } from "../lib/stage.js";

const on = stage();
const transfer = async () => on.cluster.post("/v1/transactions", { from: "N1/A", to: "N2/B", amount: 1 });
const chosen = (page, txn) => page.locator(`.tx-items a[href="#/tx/${txn}"]`);

test("a transfer is drawn as it happens: both promises, the decision on disk, and everybody told", async () => {
  const page = await on.open("#/live");
  const { txn } = await transfer();
  await expect(page.locator(".stage h2"), "text", /N1\/A −1 → N2\/B \+1/);
  await eventually(async () => {
    const drawn = await page.locator(".stage svg.diagram text").allTextContents();
    for (const word of ["client", "coordinator", "N1", "N2", "submit", "prepare A −1", "prepare B +1", "yes", "committed", "prepare_ok"]) {
      assert.ok(drawn.includes(word), `${word} is missing in ${drawn}`);
    }
    assert.equal(drawn.filter((word) => word === "COMMIT").length, 3, "one decision, two messages");
    assert.equal(drawn.filter((word) => word === "ack").length, 2);
    assert.equal(await page.locator(".stage .sync").count() >= 3, true);
    assert.equal(await page.locator(".stage .doubt-area").count(), 2);
  });
  await expect(chosen(page, txn), "text", /committed/);
});

test("the receipt says what the API says", async () => {
  const page = await on.open("#/live");
  const { txn, request_id } = await transfer();
  await page.goto(`${on.cluster.url}/#/tx/${txn}`);
  await expect(page.locator(".receipt"), "text", /COMMIT after/);
  const text = await eventually(async () => {
    const now = await page.locator(".receipt").innerText();
    assert.match(now, /Everybody knows it/);
    return now;
  });
  const told = await on.cluster.get(`/v1/transactions/${txn}/receipt`);
  assert.equal(told.outcome, "committed");
  for (const leg of told.legs) assert.ok(text.includes(`${leg.node}/${leg.account}`));
  assert.ok(text.includes(txn) && text.includes(request_id));
  assert.match(text, /N1\/A\s+held \d/);
});

test("a deep link opens one transaction, also by its request's name", async () => {
  const first = await transfer();
  await transfer();
  const page = await on.open(`#/tx/${first.txn}`);
  await expect(chosen(page, first.txn), "aria-current", "true");
  const other = await on.open(`#/tx/${first.request_id}`);
  await expect(other.locator(".receipt"), "text", new RegExp(first.txn));
});

test("one can step back and forth through a transaction and is told each step in words", async () => {
  const { txn } = await transfer();
  const page = await on.open(`#/tx/${txn}`);
  await expect(page.locator(".where"), "text", /\d+ \/ \d+/);
  await page.getByLabel("First step").click();
  await expect(page.locator(".where"), "text", /^1 \/ /);
  await expect(page.locator(".caption-line"), "text", /client asks the coordinator/);
  await page.keyboard.press("ArrowRight");
  await expect(page.locator(".where"), "text", /^2 \/ /);
  assert.ok(await page.locator(".stage .later").count() > 10, "what is still to come is faint");
  await page.getByLabel("Last step, and follow").click();
  assert.equal(await page.locator(".stage .later").count(), 0);
});

test("a diagram can be taken away as SVG and as mermaid", async () => {
  const { txn } = await transfer();
  const page = await on.open(`#/tx/${txn}`);
  await expect(page.locator(".receipt"), "text", /Everybody knows it/);
  const save = async (name) => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
    return readFile(await download.path(), "utf8");
  };
  const svg = await save("SVG");
  assert.match(svg, /^<svg[^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
  assert.match(svg, /prepare A −1/);
  assert.doesNotMatch(svg, /class=/);
  const mermaid = await save("mermaid");
  assert.match(mermaid, /^sequenceDiagram\n/);
  assert.match(mermaid, /client->>coordinator: submit/);
  assert.match(mermaid, /coordinator->>N2: COMMIT/);
});

test("step mode holds the coordinator before each message, until the button lets one go", async () => {
  const page = await on.open("#/live");
  await page.getByLabel("Step mode").check();
  await expect(page.locator(".holding"), "text", /nothing to hold/);
  const before = await on.cluster.balances();
  await page.locator("#quick-transfer").click();
  const next = page.getByRole("button", { name: "Next message" });
  await expect(page.locator(".holding"), "text", /prepare/);
  let steps = 0;
  await eventually(async () => {
    if (await next.isEnabled()) {
      await next.click();
      steps += 1;
    }
    const held = await page.locator(".holding").innerText();
    assert.match(held, /nothing to hold/);
    assert.ok(steps >= 5, `only ${steps} messages were held`);
  });
  await page.getByLabel("Step mode").uncheck();
  await eventually(async () => assert.deepEqual(await on.cluster.balances(), [before[0] - 10, before[1] + 10, before[2]]));
});

test("on any step one can ask: what if it dies here?", async () => {
  const { txn } = await transfer();
  const page = await on.open(`#/tx/${txn}`);
  await expect(page.locator(".receipt"), "text", /Everybody knows it/);
  await page.getByLabel("First step").click();
  await eventually(async () => {
    await page.getByLabel("Step forward").click();
    assert.match(await page.locator(".caption-line").innerText(), /The decision: COMMIT/);
  });
  await page.getByRole("button", { name: "What if it dies here?" }).click();
  await expect(page.locator(".stage-verdict .verdict"), "class", /good/);
  assert.match(await page.locator(".stage-verdict").innerText(), /3000 = 3000/);
  await expect(page.locator("#badge-text"), "text", CONSERVED);
});

test("a conflict's receipt says who held the lock", async () => {
  const page = await on.open("#/live");
  await page.locator("#quick-conflict").click();
  await expect(page.locator(".receipt"), "text", /another transaction held B[\s\S]*The lock was held by/);
});

test("everything can be reached by keyboard alone", async () => {
  const page = await on.open("#/live");
  const seen = new Set();
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press("Tab");
    seen.add(await page.evaluate(() => {
      const { activeElement: at } = document;
      const look = getComputedStyle(at);
      return `${at.getAttribute("aria-label") ?? at.textContent.trim().slice(0, 24)}|${look.outlineStyle}`;
    }));
  }
  for (const wanted of ["Operate", "Break", "Transfer 10", "Switch to dark"]) {
    assert.ok([...seen].some((one) => one.startsWith(wanted)), `${wanted} is not among ${[...seen].join(", ")}`);
  }
  assert.ok([...seen].filter((one) => one.endsWith("|none")).length <= 1, "what has the focus shows it");
});

test("when the server is gone the page says so, and goes on when there is one again", async () => {
  let server = await Cluster.start();
  try {
    const page = await open(on.browser, server.url);
    await expect(page.locator("#link"), "data-state", "open");
    await server.stop();
    await expect(page.locator("#link"), "data-state", "gone");
    await expect(page.locator("#link-text"), "text", /gone/);
    server = await Cluster.start({ http: new URL(server.url).port });
    await expect(page.locator("#link"), "data-state", "open");
    const { txn } = await server.post("/v1/transactions", { from: "N1/A", to: "N2/B", amount: 1 });
    await expect(chosen(page, txn), "text", /committed/);
    await page.context().close();
  } finally {
    await server.stop();
  }
});
