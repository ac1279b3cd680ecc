// One cluster and one browser for a test file, and what its tests have in common.

import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import { expect } from "./expect.js";
import { launch, open } from "./browser.js";
import { Cluster } from "./cluster.js";

/** Sets the stage for a file of tests. Everything on it is there once the first test runs. */
export function stage(...args) {
  const on = { pages: [] };
  before(async () => {
    on.cluster = await Cluster.start({ args });
    on.browser = await launch();
    on.open = async (hash = "", options = {}) => {
      const page = await open(on.browser, `${on.cluster.url}/${hash}`, options);
      on.pages.push(page);
      await expect(page.locator("#link"), "data-state", "open");
      return page;
    };
  });
  afterEach(async () => {
    const wrong = on.pages.flatMap((page) => page.wrong);
    await Promise.all(on.pages.splice(0).map((page) => page.context().close()));
    assert.deepEqual(wrong, [], "the page must not report errors");
  });
  after(async () => {
    await on.browser?.close();
    await on.cluster?.stop();
  });
  return on;
}

/** All the money there is, as the badge writes it. */
export const CONSERVED = "Money conserved: 3000 = 3000";
