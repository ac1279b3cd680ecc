// What the page shows of stores, write-ahead logs and process logs is what the files and the processes hold; on both backends.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { eventually, expect } from "../lib/expect.js";
import { stage } from "../lib/stage.js";

describe("json", () => {
  const on = stage();

  test("the store shows what its node holds", async () => {
    await on.cluster.post("/v1/transactions", { from: "N1/A", to: "N2/B", amount: 7 });
    const page = await on.open("#/state");
    await page.getByLabel("Of").selectOption("N2");
    await eventually(async () => {
      await page.getByText("Read again").click();
      assert.match(await page.locator(".state-body").innerText(), /accounts[\s\S]*B[\s\S]*1007/);
    });
  });

  test("the write-ahead log shows the file's lines, with their checksums", async () => {
    const { txn } = await on.cluster.post("/v1/transactions", { from: "N1/A", to: "N2/B", amount: 3 });
    const page = await on.open("#/state");
    await page.getByLabel("Of").selectOption("N1");
    await page.getByText("Write-ahead log").click();
    await page.getByPlaceholder(/part of it/).fill(txn);
    const rows = await eventually(async () => {
      await page.getByText("Read again").click();
      const found = await page.locator(".wal tbody tr").allInnerTexts();
      assert.equal(found.length, 2, found.join());
      return found;
    });
    assert.ok(rows.some((row) => /prepare_ok/.test(row)) && rows.some((row) => /commit/.test(row)));
    assert.equal(await page.locator(".wal .mark.bad").count(), 0);
    const file = await readFile(join(on.cluster.dir, "node_N1_log.jsonl"), "utf8");
    const mine = file.split("\n").filter((line) => line.includes(txn)).map((line) => JSON.parse(line));
    for (const { crc, seq } of mine) assert.ok(rows.some((row) => row.includes(crc) && row.includes(String(seq))), crc);
  });

  test("the coordinator's log shows the decision", async () => {
    const { txn } = await on.cluster.post("/v1/transactions", { from: "N1/A", to: "N2/B", amount: 2 });
    const page = await on.open("#/state");
    await page.getByLabel("Of").selectOption("coordinator");
    await page.getByText("Write-ahead log").click();
    await page.getByPlaceholder(/part of it/).fill(txn);
    await expect(page.locator(".wal tbody"), "text", /START[\s\S]*COMMIT|COMMIT[\s\S]*START/);
  });

  test("a stopped node's store can be read too", async () => {
    await on.cluster.post("/v1/control/processes/N3/stop");
    const page = await on.open("#/state");
    await page.getByLabel("Of").selectOption("N3");
    await expect(page.locator(".state-body"), "text", /C[\s\S]*1000/);
    await on.cluster.post("/v1/control/processes/N3/start");
  });

  test("a drop-down list stays as it is, and open, while processes come and go", async () => {
    for (const [view, node] of [["state", "N1"], ["logs", "N2"], ["break", "N3"]]) {
      const page = await on.open(`#/${view}`);
      const list = page.locator("select:visible").first();
      await list.selectOption("N3");
      const option = await list.locator("option:checked").elementHandle();
      // Frozen it stays until the page has heard of it; a shorter time might pass unnoticed.
      const told = page.waitForResponse(async (response) => response.url().endsWith("/v1/control/cluster") && /"frozen"/.test(await response.text()));
      await on.cluster.post(`/v1/control/processes/${node}/freeze`);
      await told.finally(() => on.cluster.post(`/v1/control/processes/${node}/thaw`));
      await page.evaluate(() => new Promise(requestAnimationFrame));
      assert.equal(await option.evaluate((element) => element.isConnected), true, view);
      assert.equal(await list.inputValue(), "N3", view);
    }
  });

  test("process logs come in live, can be filtered, paused and downloaded", async () => {
    const page = await on.open("#/logs");
    await expect(page.locator(".log-lines"), "text", /N1 joined/);
    const { txn } = await on.cluster.post("/v1/transactions", { from: "N1/A", to: "N2/B", amount: 1 });
    await page.getByLabel("Lines with").fill(txn);
    await expect(page.locator(".log-lines"), "text", new RegExp(`COMMIT ${txn}`));
    await page.getByLabel("Process").selectOption("N2");
    await eventually(async () => {
      const lines = await page.locator(".log-line").allInnerTexts();
      assert.ok(lines.length > 0 && lines.every((line) => line.startsWith("N2") && line.includes(txn)), lines.join());
    });
    await page.getByRole("button", { name: "Pause" }).click();
    const shown = await page.locator(".log-line").count();
    await page.getByLabel("Lines with").fill("");
    assert.equal(await page.locator(".log-line").count(), shown);
    await page.getByRole("button", { name: "Go on" }).click();
    await eventually(async () => assert.ok(await page.locator(".log-line").count() > shown));
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByText("Download").click()]);
    assert.match(await readFile(await download.path(), "utf8"), new RegExp(`COMMIT ${txn}`));
  });
});

describe("sled", () => {
  const on = stage("--store", "sled");

  test("the store shows what its node holds, and the log its trees", async () => {
    await on.cluster.post("/v1/transactions", { from: "N1/A", to: "N2/B", amount: 7 });
    const page = await on.open("#/state");
    await page.getByLabel("Of").selectOption("N2");
    await eventually(async () => {
      await page.getByText("Read again").click();
      assert.match(await page.locator(".state-body").innerText(), /B[\s\S]*1007/);
    });
    await page.getByText("Write-ahead log").click();
    await expect(page.locator(".state-body"), "text", /accounts[\s\S]*last sequence\s+\d+/);
  });
});
