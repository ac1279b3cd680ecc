// See `soak`. Memory of the page (after garbage collection, with its nodes and listeners) and of the server, each half minute.

import { readFile } from "node:fs/promises";
import { launch, open } from "./lib/browser.js";
import { Cluster } from "./lib/cluster.js";

const SECONDS = Number(process.argv[2] ?? 600);
const CLIENTS = 4;
const SAMPLE_MS = 30_000;
/** What may come on top between the first third and the end: allocators and caches breathe. */
const PAGE_GROWTH_MAX = 1.15;
const SERVER_GROWTH_MAX = 1.15;
/** The server's buffers are bounded, and fill when a browser stands still for a moment: that happens once and does not add up. */
const BUFFERS_KIB = 16 * 1024;

const cluster = await Cluster.start();
const browser = await launch();
const page = await open(browser, `${cluster.url}/#/live`);
const tools = await page.context().newCDPSession(page);
await tools.send("Performance.enable");

let running = true;
let moved = 0;
const clients = Array.from({ length: CLIENTS }, async (_, at) => {
  const [from, to] = at % 2 === 0 ? ["N1/A", "N2/B"] : ["N3/C", "N1/A"];
  for (let turn = 0; running; turn++) {
    const [give, take] = turn % 2 === 0 ? [from, to] : [to, from];
    await cluster.post("/v1/transactions", { from: give, to: take, amount: 1 }).catch(() => {});
    moved += 1;
  }
});

async function sample(second) {
  await tools.send("HeapProfiler.collectGarbage");
  const { metrics } = await tools.send("Performance.getMetrics");
  const page_ = Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  const status = await readFile(`/proc/${cluster.child.pid}/status`, "utf8");
  const taken = {
    second, transactions: moved,
    page_kib: Math.round(page_.JSHeapUsedSize / 1024), nodes: page_.Nodes, listeners: page_.JSEventListeners,
    server_kib: Number(status.match(/VmRSS:\s+(\d+)/)[1]),
  };
  console.log(JSON.stringify(taken));
  return taken;
}

// Every view is looked at in turn: what one leaves behind would add up.
const VIEWS = ["live", "charts", "logs", "operate", "break", "processes", "state"];
const samples = [];
const began = Date.now();
try {
  for (let turn = 0; Date.now() - began < SECONDS * 1000; turn++) {
    await page.goto(`${cluster.url}/#/${VIEWS[turn % VIEWS.length]}`);
    await page.waitForTimeout(Math.min(SAMPLE_MS, (SECONDS * 1000) / 12));
    // Samples are compared in the same view.
    await page.goto(`${cluster.url}/#/live`);
    await page.waitForTimeout(500);
    samples.push(await sample(Math.round((Date.now() - began) / 1000)));
  }
} finally {
  running = false;
  await Promise.all(clients);
  await browser.close();
  await cluster.stop();
}

const third = samples[Math.floor(samples.length / 3)];
const last = samples.at(-1);
const page_growth = last.page_kib / third.page_kib;
const server_growth = last.server_kib / third.server_kib;
const server_ok = server_growth <= SERVER_GROWTH_MAX || last.server_kib - third.server_kib <= BUFFERS_KIB;
const ok = page_growth <= PAGE_GROWTH_MAX && server_ok;
console.log(JSON.stringify({ ok, page_growth: page_growth.toFixed(3), server_growth: server_growth.toFixed(3), errors: page.wrong }));
process.exit(ok && page.wrong.length === 0 ? 0 : 1);
