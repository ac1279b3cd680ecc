// A real cluster behind a real panel: `twopence up` on free ports, in a directory of its own that goes when it stops.

import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";

const START_MAX_MS = 60_000;
const STOP_MAX_MS = 30_000;

export class Cluster {
  /** Starts one; resolves once it says where its panel is. `args` go to `up`; `usual` ports are taken if they are free. */
  static async start({ args = [], usual = false, http = 0 } = {}) {
    const home = await mkdtemp(join(tmpdir(), "twopence-browser-"));
    const dir = join(home, "data");
    const [coordinator, base] = usual && (await areFree([5000, 6001, 6002, 6003])) ? [5000, 6001] : [await freePorts(1), await freePorts(3)];
    // Called by its name alone, as somebody would who has installed it: it shows how it was called.
    const env = { ...process.env, PATH: `${dirname(process.env.TWOPENCE)}${delimiter}${process.env.PATH}` };
    const child = spawn(basename(process.env.TWOPENCE), ["up", "--data-dir", "data", "--http-port", String(usual && (await areFree([8080])) ? 8080 : http), "--coord-port", String(coordinator), "--base-port", String(base), ...args], { cwd: home, env, stdio: ["ignore", "pipe", "pipe"] });
    const cluster = new Cluster({ home, dir, child, coordinator, base });
    let said = "";
    const url = new Promise((found, failed) => {
      const read = (text) => {
        said = (said + text).slice(-20_000);
        const address = said.match(/Watch it at (http:\/\/\S+)/)?.[1];
        if (address) found(address);
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      child.once("error", failed);
      child.once("exit", (code) => failed(new Error(`up ended with ${code}:\n${said}`)));
      setTimeout(() => failed(new Error(`up said nothing of a panel:\n${said}`)), START_MAX_MS).unref();
    });
    cluster.url = await url;
    return cluster;
  }

  constructor(parts) {
    Object.assign(this, parts);
  }

  /** What the API answers, whatever it is. */
  async get(path) {
    const response = await fetch(this.url + path);
    return response.json();
  }

  /** Changes something as a program would. */
  async post(path, body = {}) {
    const response = await fetch(this.url + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    return response.json();
  }

  /** What an account holds, asked of the API. */
  async balance(place) {
    return (await this.get(`/v1/accounts/${place}`)).balance;
  }

  /** The balances of A, B and C. */
  async balances() {
    return Promise.all(["N1/A", "N2/B", "N3/C"].map((place) => this.balance(place)));
  }

  /** What the command line prints. */
  async cli(...words) {
    const { stdout } = await promisify(execFile)(process.env.TWOPENCE, [...words, "--coord", `127.0.0.1:${this.coordinator}`]);
    return stdout;
  }

  /** As Ctrl-C does. Fails if it does not end cleanly. */
  async stop() {
    const ended = new Promise((done) => (this.child.exitCode === null && this.child.signalCode === null ? this.child.once("exit", done) : done(this.child.exitCode)));
    this.child.kill("SIGINT");
    const code = await Promise.race([ended, new Promise((_, late) => setTimeout(() => late(new Error("up does not end")), STOP_MAX_MS).unref())]);
    await rm(this.home, { recursive: true, force: true });
    if (code !== 0) throw new Error(`up ended with ${code}`);
  }
}

/** The first of `count` neighbouring ports that are free now. */
async function freePorts(count) {
  for (;;) {
    const first = 20_000 + Math.floor(Math.random() * 12_000);
    if (await areFree(Array.from({ length: count }, (_, at) => first + at))) return first;
  }
}

async function areFree(ports) {
  return !(await Promise.all(ports.map(occupied))).includes(true);
}

function occupied(port) {
  return new Promise((say) => {
    const probe = createServer();
    probe.once("error", () => say(true));
    probe.listen(port, "127.0.0.1", () => probe.close(() => say(false)));
  });
}
