// How the page looks and what it costs: both themes, both widths, no scroll bars where none belong, small and quick.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, expect } from "../lib/expect.js";
import { measure } from "../lib/speed.js";
import { stage } from "../lib/stage.js";

const VIEWS = ["live", "operate", "break", "processes", "state", "logs", "charts"];
const on = stage();

for (const theme of ["light", "dark"]) {
  for (const [width, height] of [[1280, 720], [390, 844]]) {
    test(`no view is wider than ${width} pixels (${theme})`, async () => {
      await on.cluster.post("/v1/transactions", { legs: [{ node: "N1", account: "A", delta: -3 }, { node: "N2", account: "B", delta: 1 }, { node: "N3", account: "C", delta: 2 }] });
      const page = await on.open("", { theme, width, height });
      for (const view of VIEWS) {
        await page.goto(`${on.cluster.url}/#/${view}`);
        await expect(page.locator(`.rail a[href="#/${view}"]`), "aria-current", "page");
        const wide = await page.evaluate(() => [document.documentElement.scrollWidth - innerWidth, document.querySelector("main").scrollWidth - document.querySelector("main").clientWidth]);
        assert.deepEqual(wide, [0, 0], `${view} is too wide`);
      }
      const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
      assert.equal(ground[0] < 100, theme === "dark", `the ground is ${ground}`);
    });
  }
}

test("the live view needs no scrolling at 1280 × 720, and a transfer between two nodes fits on its paper", async () => {
  const page = await on.open("#/live");
  await on.cluster.post("/v1/transactions", { from: "N1/A", to: "N2/B", amount: 1 });
  await expect(page.locator(".receipt"), "text", /Everybody knows it/);
  const over = await page.evaluate(() => ["main", ".paper"].map((name) => {
    const { scrollHeight, clientHeight } = document.querySelector(name);
    return scrollHeight - clientHeight;
  }));
  assert.deepEqual(over.map((one) => Math.max(0, one)), [0, 0]);
});

test("the theme can be switched, and the choice is kept", async () => {
  const page = await on.open("#/live", { theme: "light" });
  await page.getByLabel("Switch to dark").click();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.reload();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
});

test("charts draw what the cluster does", async () => {
  const page = await on.open("#/charts");
  const drawn = () => page.locator(".chart path.series").evaluateAll((paths) => paths.filter((path) => path.getAttribute("d").includes("L")).length);
  await eventually(async () => {
    // What a process did before its counters were first read is in no chart: again and again.
    await on.cluster.post("/v1/transactions", { from: "N1/A", to: "N2/B", amount: 1 });
    const [lines, syncs] = [await drawn(), await page.locator(".chart-card", { hasText: "Sync latency" }).innerText()];
    assert.ok(lines >= 4, `${lines} lines`);
    assert.match(syncs, /coordinator[\s\S]*N1[\s\S]*N2/);
  });
});

// The limits are the promised ones for bytes, and generous for time: a busy machine paints late.
test("the whole page is small, comes from here alone, and paints soon", async () => {
  const { bytes, first_paint_ms, foreign, server_ms } = await measure(on.browser, on.cluster.url, 3);
  assert.ok(bytes < 300_000, `${bytes} bytes`);
  assert.deepEqual(foreign, []);
  assert.ok(first_paint_ms < 3000, `${first_paint_ms} ms`);
  assert.ok(server_ms < 1000, `${server_ms} ms`);
});
