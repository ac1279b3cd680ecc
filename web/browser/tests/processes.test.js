// Processes: start, stop, kill, restart, freeze and thaw, and a new cluster in place of the old one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readdir } from "node:fs/promises";
import { eventually, expect } from "../lib/expect.js";
import { stage } from "../lib/stage.js";

const on = stage();
const row = (page, name) => page.locator(`tr[data-process="${name}"]`);
const press = (page, name, action) => row(page, name).locator(`[data-action="${action}"]`).click();
const known = async (name) => {
  const cluster = await on.cluster.get("/v1/control/cluster");
  return [cluster.coordinator, ...cluster.nodes].find((one) => one.name === name);
};
const alive = (pid) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test("a node that is stopped stays stopped until it is started", async () => {
  const page = await on.open("#/processes");
  await expect(row(page, "N2"), "data-state", "running");
  const { pid } = await known("N2");
  await press(page, "N2", "stop");
  await expect(row(page, "N2"), "data-state", "stopped");
  assert.equal(alive(pid), false);
  await press(page, "N2", "start");
  await expect(row(page, "N2"), "data-state", "running");
  assert.notEqual((await known("N2")).pid, pid);
});

test("a click that has begun counts, whatever is drawn anew before it ends", async () => {
  const page = await on.open("#/processes");
  await expect(row(page, "N2"), "data-state", "running");
  await row(page, "N2").locator('[data-action="stop"]').hover();
  await page.mouse.down();
  await on.cluster.post("/v1/control/processes/N1/freeze");
  try {
    await expect(row(page, "N1"), "data-state", "frozen");
  } finally {
    await on.cluster.post("/v1/control/processes/N1/thaw");
  }
  await expect(row(page, "N1"), "data-state", "running");
  await page.mouse.up();
  await expect(row(page, "N2"), "data-state", "stopped");
  await press(page, "N2", "start");
  await expect(row(page, "N2"), "data-state", "running");
});

test("a process that is killed comes back, as another one", async () => {
  const page = await on.open("#/processes");
  await expect(row(page, "coordinator"), "data-state", "running");
  const { pid } = await known("coordinator");
  await press(page, "coordinator", "kill");
  await eventually(async () => {
    const now = await known("coordinator");
    assert.equal(now.state, "running");
    assert.notEqual(now.pid, pid);
  });
  assert.equal(alive(pid), false);
  await expect(row(page, "coordinator"), "data-state", "running");
  await expect(row(page, "coordinator").locator("td.num"), "text", String((await known("coordinator")).pid));
});

test("a process can be restarted", async () => {
  const page = await on.open("#/processes");
  await expect(row(page, "N3"), "data-state", "running");
  const { pid } = await known("N3");
  await press(page, "N3", "restart");
  await eventually(async () => {
    const now = await known("N3");
    assert.equal(now.state, "running");
    assert.notEqual(now.pid, pid);
  });
});

test("a frozen node is alive and silent, and goes on when it thaws", async () => {
  const page = await on.open("#/processes");
  await expect(row(page, "N1"), "data-state", "running");
  const { pid } = await known("N1");
  await press(page, "N1", "freeze");
  await expect(row(page, "N1"), "data-state", "frozen");
  assert.equal(alive(pid), true);
  await press(page, "N1", "thaw");
  await expect(row(page, "N1"), "data-state", "running");
  assert.equal((await known("N1")).pid, pid);
  await eventually(async () => assert.equal(await on.cluster.balance("N1/A"), 1000));
});

test("everything can be stopped and started at once", async () => {
  const page = await on.open("#/processes");
  await page.locator("#stop-all").click();
  for (const name of ["coordinator", "N1", "N2", "N3"]) await expect(row(page, name), "data-state", "stopped");
  await page.locator("#start-all").click();
  for (const name of ["coordinator", "N1", "N2", "N3"]) await expect(row(page, name), "data-state", "running");
  await eventually(async () => assert.deepEqual(await on.cluster.balances(), [1000, 1000, 1000]));
});

test("a new cluster is started only by somebody who agreed that the old one is erased", async () => {
  const page = await on.open("#/processes");
  const go = page.locator("form button[type=submit]");
  assert.equal(await go.isDisabled(), true);
  await page.getByLabel("Nodes", { exact: true }).fill("4");
  await page.getByText("sled", { exact: true }).click();
  await page.getByText("escrow", { exact: true }).click();
  await page.locator("#erase-sure").check();
  await go.click();
  await expect(row(page, "N4"), "data-state", "running");
  const cluster = await eventually(async () => {
    const now = await on.cluster.get("/v1/control/cluster");
    assert.equal(now.nodes.length, 4);
    return now;
  });
  assert.deepEqual([cluster.store, cluster.locking], ["sled", "escrow"]);
  assert.ok((await readdir(on.cluster.dir)).includes("node_N4.sled"));
  await eventually(async () => assert.deepEqual(await on.cluster.balances(), [1000, 1000, 1000]));
});
