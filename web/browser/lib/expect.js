// Waiting for what must come true, without sleeping: asked again and again until it is, or until it is late.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

const LATE_MS = 45_000;
const AGAIN_MS = 50;

/** Waits until `check` no longer throws, and gives back what it gives. */
export async function eventually(check, late_ms = LATE_MS) {
  const until = Date.now() + late_ms;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > until) throw error;
      await pause(AGAIN_MS);
    }
  }
}

/** Waits until the attribute, or `text`, of what `locator` finds is `wanted`: a string, or a pattern it must match. */
export function expect(locator, what, wanted) {
  return eventually(async () => {
    const found = what === "text" ? await locator.first().innerText({ timeout: 2000 }) : await locator.first().getAttribute(what, { timeout: 2000 });
    if (wanted instanceof RegExp) assert.match(found ?? "", wanted);
    else assert.equal(found, wanted);
    return found;
  });
}
