// See `measure`.

import { launch } from "./lib/browser.js";
import { Cluster } from "./lib/cluster.js";
import { measure } from "./lib/speed.js";

const cluster = await Cluster.start();
const browser = await launch();
try {
  console.log(JSON.stringify(await measure(browser, cluster.url, 5)));
} finally {
  await browser.close();
  await cluster.stop();
}
