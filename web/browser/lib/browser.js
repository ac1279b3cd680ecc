// A real Chromium, each time with a new and empty profile, and pages that keep what went wrong in them.

import { chromium } from "playwright-core";

const ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--enable-precise-memory-info", "--js-flags=--expose-gc"];

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM, args: ARGS });
}

/** A page that has not been here before, or that knows the tour already. `page.wrong` collects errors. */
export async function open(browser, url, { width = 1280, height = 720, theme = "light", newcomer = false, motion = "reduce" } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: motion });
  if (url.startsWith("http")) await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(url).origin });
  if (!newcomer) await context.addInitScript(() => localStorage.setItem("tour-seen", "yes"));
  const page = await context.newPage();
  page.wrong = [];
  page.on("pageerror", (error) => page.wrong.push(String(error.stack ?? error)));
  page.on("console", (message) => {
    // A refused request is an answer; the browser writes it down as an error all the same.
    const answer = /Failed to load resource: the server responded with a status of/.test(message.text());
    if (message.type() === "error" && !answer) page.wrong.push(message.text());
  });
  await page.goto(url);
  return page;
}
