// How large the page is and how soon it paints, each time in a new profile with an empty cache.

import { open } from "./browser.js";

/** Opens the page `times` times: `{bytes, requests, foreign, server_ms, first_paint_ms, all}`; times are medians. */
export async function measure(browser, url, times) {
  const own = new URL(url).origin;
  const foreign = new Set();
  const runs = [];
  for (let run = 0; run < times; run++) {
    const page = await open(browser, "about:blank", { newcomer: true });
    const files = [];
    page.on("request", (request) => {
      if (!request.url().startsWith(own) && !request.url().startsWith("data:")) foreign.add(request.url());
    });
    page.on("response", (response) => {
      if (!new URL(response.url()).pathname.startsWith("/v1/")) files.push(response.body());
    });
    await page.goto(url, { waitUntil: "load" });
    await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
    const timing = await page.evaluate(() => {
      const [navigation] = performance.getEntriesByType("navigation");
      return { server_ms: navigation.responseStart - navigation.requestStart, first_paint_ms: performance.getEntriesByName("first-contentful-paint")[0].startTime };
    });
    const bodies = await Promise.all(files);
    runs.push({ ...timing, bytes: bodies.reduce((sum, body) => sum + body.length, 0), requests: bodies.length });
    await page.context().close();
  }
  const median = (name) => runs.map((run) => run[name]).sort((one, other) => one - other)[Math.floor(runs.length / 2)];
  return {
    bytes: Math.max(...runs.map((run) => run.bytes)), requests: median("requests"), foreign: [...foreign],
    server_ms: median("server_ms"), first_paint_ms: median("first_paint_ms"), all: runs.map((run) => Math.round(run.first_paint_ms)),
  };
}
