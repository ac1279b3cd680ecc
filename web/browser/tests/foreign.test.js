// A page from elsewhere, open in the same browser, can neither move money, nor kill a process, nor read a balance.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { open } from "../lib/browser.js";
import { stage } from "../lib/stage.js";

const on = stage();
let foreign;

before(async () => {
  const page = createServer((request, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end("<!doctype html><title>elsewhere</title>");
  });
  await new Promise((ready) => page.listen(0, "127.0.0.1", ready));
  foreign = { page, url: `http://localhost:${page.address().port}/` };
});
after(() => foreign.page.close());

test("a foreign page cannot move money, kill a process or read a balance", async () => {
  const balances = await on.cluster.balances();
  const pids = async () => (await on.cluster.get("/v1/control/cluster")).nodes.map((node) => node.pid);
  const before = await pids();
  const page = await open(on.browser, foreign.url);
  const tried = await page.evaluate(async (target) => {
    const order = JSON.stringify({ from: "N1/A", to: "N2/B", amount: 500 });
    const attempts = {
      json: () => fetch(`${target}/v1/transactions`, { method: "POST", headers: { "Content-Type": "application/json" }, body: order }),
      plain: () => fetch(`${target}/v1/transactions`, { method: "POST", mode: "no-cors", headers: { "Content-Type": "text/plain" }, body: order }),
      kill: () => fetch(`${target}/v1/control/processes/N1/kill`, { method: "POST", mode: "no-cors", body: "{}" }),
      read: () => fetch(`${target}/v1/accounts/N1/A`),
      beacon: async () => navigator.sendBeacon(`${target}/v1/control/processes/N2/kill`, new Blob(["{}"], { type: "text/plain" })),
    };
    const ends = {};
    for (const [name, attempt] of Object.entries(attempts)) {
      try {
        const answer = await attempt();
        ends[name] = answer.type === "opaque" ? "opaque" : answer.status ?? String(answer);
      } catch {
        ends[name] = "refused";
      }
    }
    const form = document.createElement("form");
    form.method = "post";
    form.action = `${target}/v1/control/processes/N3/kill`;
    form.target = "_blank";
    document.body.append(form);
    form.submit();
    return ends;
  }, on.cluster.url);
  assert.equal(tried.json, "refused");
  assert.equal(tried.read, "refused");
  // What was sent blindly has been answered by now; the last one is asked for by name.
  await page.evaluate((target) => fetch(`${target}/healthz`, { mode: "no-cors" }).catch(() => {}), on.cluster.url);
  assert.deepEqual(await on.cluster.balances(), balances);
  assert.deepEqual(await pids(), before);
  await page.context().close();
});

test("the page cannot be put into a foreign frame", async () => {
  const page = await open(on.browser, foreign.url);
  await page.evaluate((target) => {
    const frame = document.createElement("iframe");
    frame.src = target;
    document.body.append(frame);
  }, on.cluster.url);
  await page.waitForFunction(() => document.querySelector("iframe").contentWindow !== null);
  const inside = await page.frames().at(-1).evaluate(() => document.title).catch(() => "");
  assert.notEqual(inside, "Twopence");
  await page.context().close();
});
