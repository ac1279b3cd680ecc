// See `screenshots`: each view once, in the theme that shows it best, from what a real cluster does.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launch, open } from "./lib/browser.js";
import { Cluster } from "./lib/cluster.js";
import { eventually, expect } from "./lib/expect.js";

const to = process.argv[2] ?? "../../docs/screens";
const LOAD_MS = Number(process.env.LOAD_MS ?? 45_000);

await mkdir(to, { recursive: true });
// With the usual ports pictures show what a reader will see.
const cluster = await Cluster.start({ usual: true });
const browser = await launch();

async function shoot(name, hash, options, prepare = async () => {}) {
  const page = await open(browser, `${cluster.url}/${hash}`, options);
  await expect(page.locator("#link"), "data-state", "open");
  await expect(page.locator("#badge"), "class", /green/);
  // What prepared it may also know how to clear away.
  const after = await prepare(page);
  await page.mouse.move(0, 0);
  await page.evaluate(() => document.activeElement?.blur());
  await page.screenshot({ path: join(to, `${name}.png`) });
  if (typeof after === "function") await after();
  await page.context().close();
  console.log(`${name}.png`);
}

const transfer = (amount = 10) => cluster.post("/v1/transactions", { from: "N1/A", to: "N2/B", amount });
const scenario = (body) => cluster.post("/v1/control/scenarios", { from: "N1/A", to: "N2/B", amount: 30, delay_ms: 0, ...body });
const crashed = (answer) => answer.transactions?.find((one) => one.txn)?.txn;
const complete = async (page) => {
  await expect(page.locator(".receipt"), "text", /Everybody knows it/);
  await expect(page.locator(".tx-items li:nth-child(3)"), "text", /committed|aborted/);
};

try {
  await transfer();
  await cluster.post("/v1/transactions", { legs: [{ node: "N1", account: "A", delta: -30 }, { node: "N2", account: "B", delta: 10 }, { node: "N3", account: "C", delta: 20 }] });
  await transfer(100_000);
  const conflict = await cluster.post("/v1/control/scenarios", { name: "conflict" });
  const { txn } = await transfer();

  await shoot("live-light", `#/tx/${txn}`, {}, complete);
  await shoot("live-dark", `#/tx/${txn}`, { theme: "dark" }, async (page) => {
    await complete(page);
    await page.getByLabel("First step").click();
    await eventually(async () => {
      await page.getByLabel("Step forward").click();
      if (!/The decision: COMMIT/.test(await page.locator(".caption-line").innerText())) throw new Error("not there yet");
    });
  });
  await shoot("phone", `#/tx/${txn}`, { width: 390, height: 844, theme: "dark" }, complete);
  const loser = conflict.transactions?.find((one) => one.outcome === "aborted")?.txn;
  await shoot("receipt", `#/tx/${loser}`, {}, (page) => expect(page.locator(".receipt"), "text", /held by/));

  await shoot("step", "#/live", {}, async (page) => {
    await page.getByLabel("Step mode").check();
    await page.locator("#quick-transfer").click();
    const next = page.getByRole("button", { name: "Next message" });
    for (const wanted of [/N1 prepare/, /N2 prepare/]) {
      await expect(page.locator(".holding"), "text", wanted);
      await next.click();
    }
    await expect(page.locator(".holding"), "text", /holds/);
    return () => page.getByLabel("Step mode").uncheck();
  });

  await shoot("tour", "", { newcomer: true }, async (page) => {
    await page.locator("#tour-start").click();
    await page.locator("#tour [data-act]").click();
    await expect(page.locator(".tour-outcome"), "text", /Committed/);
    await expect(page.locator(".receipt"), "text", /Everybody knows it/);
  });

  await shoot("operate", "#/operate", { theme: "dark" }, async (page) => {
    await page.locator("button[type=submit]").click();
    await expect(page.locator(".results"), "text", /committed/);
    await page.getByText("Conflicting pair").click();
    await expect(page.locator(".results .verdict"), "class", /good/);
  });

  await shoot("break", "#/break", {}, async (page) => {
    await page.locator("input[name=coordinator-at][value=after_commit]").check({ force: true });
    await page.locator("#crash-coordinator").click();
    await expect(page.locator(".verdict"), "class", /good/);
    await page.waitForTimeout(500);
  });

  await shoot("crash", "#/live", { theme: "dark" }, async (page) => {
    const death = await scenario({ name: "crash_node", node: "N2", at: "sent.vote" });
    await page.goto(`${cluster.url}/#/tx/${crashed(death)}`);
    await expect(page.locator(".receipt"), "text", /Decision/);
    await expect(page.locator(".receipt"), "text", /Everybody knows it|no record means abort/);
  });

  await shoot("processes", "#/processes", {}, async (page) => {
    await page.locator('tr[data-process="N2"] [data-action="freeze"]').click();
    await expect(page.locator('tr[data-process="N2"]'), "data-state", "frozen");
    await page.locator('tr[data-process="N3"] [data-action="stop"]').click();
    await expect(page.locator('tr[data-process="N3"]'), "data-state", "stopped");
  });
  await cluster.post("/v1/control/processes/N2/thaw");
  await cluster.post("/v1/control/processes/N3/start");

  await shoot("state", "#/state", {}, async (page) => {
    await page.getByLabel("Of").selectOption("N1");
    await expect(page.locator(".state-body"), "text", /accounts/);
  });
  await shoot("wal", "#/state", { theme: "dark" }, async (page) => {
    await page.getByLabel("Of").selectOption("coordinator");
    await page.getByText("Write-ahead log").click();
    await expect(page.locator(".wal"), "text", /COMMIT/);
  });
  await shoot("logs", "#/logs", { theme: "dark" }, (page) => expect(page.locator(".log-lines"), "text", /COMMIT/));

  await shoot("charts", "#/charts", {}, async (page) => {
    const until = Date.now() + LOAD_MS;
    while (Date.now() < until) {
      // In turns slow and fast, so that there is something to see.
      const busy = Math.floor(Date.now() / 6000) % 2 === 0;
      await Promise.all([transfer(1), busy && transfer(1), busy && cluster.post("/v1/transactions", { from: "N2/B", to: "N1/A", amount: 1 })]);
    }
  });
} finally {
  await browser.close();
  await cluster.stop();
}
