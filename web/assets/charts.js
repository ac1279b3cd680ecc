// How it runs: rates, latencies, syncs and doubts over the last minutes.

import { choice, h } from "./dom.js";
import { atMostEvery } from "./emitter.js";
import { Chart } from "./chart.js";
import { rate, span } from "./format.js";

const WIDE_US = 20e6;

export const charts = {
  title: "Charts",

  open(root, argument, app) {
    const ms = { format: (us) => span(us), floor: 1000 };
    const all = {
      rate: new Chart("Committed per second", { format: rate, floor: 5 }),
      aborts: new Chart("Aborted per second, by reason", { format: rate, floor: 2 }),
      latency: new Chart("Latency: submit to answer", ms),
      sync: new Chart("Sync latency, p99, by process", ms),
      doubt: new Chart("Transactions open and in doubt", { format: rate, floor: 4 }),
      oldest: new Chart("Oldest in doubt", { ...ms, floor: 1_000_000 }),
    };
    const window_ = choice("Time shown", "chart-window", [["2", "2 min"], ["10", "10 min"]], "2", () => draw());
    root.className = "charts-view";
    root.append(h("h1", { class: "visually-hidden" }, "Charts"), h("div", { class: "row" }, window_),
      h("div", { class: "chart-grid" }, ...Object.values(all).map((chart) => chart.element)));

    const draw = atMostEvery(500, () => {
      const to_us = app.memory.numbers.last()?.at_us ?? Date.now() * 1000;
      const oldest_us = to_us - Number(window_.value) * 60e6;
      const shown = app.memory.numbers.all().filter(({ at_us }) => at_us >= oldest_us);
      // Who has just come sees little wide, not in a corner.
      const from_us = Math.min(shown[0]?.at_us ?? oldest_us, to_us - WIDE_US);
      const reasons = [...new Set(shown.flatMap((one) => Object.keys(one.aborted_per_s ?? {})))].sort();
      const show = (chart, main, values) => chart.draw(shown.map((one) => ({ at_us: one.at_us, values: values(one) })), { from_us, to_us, main });
      show(all.rate, "committed/s", (one) => ({ "committed/s": one.committed_per_s }));
      show(all.aborts, null, (one) => Object.fromEntries(reasons.map((reason) => [reason, one.aborted_per_s?.[reason] ?? 0])));
      show(all.latency, "p50", (one) => pick(one.latency_us));
      show(all.sync, "coordinator", (one) => syncs(one.sync_us));
      show(all.doubt, "in doubt", (one) => ({ open: one.open ?? 0, "in doubt": one.in_doubt ?? 0 }));
      show(all.oldest, "age", (one) => ({ age: (one.oldest_in_doubt_ms ?? 0) * 1000 }));
    });
    draw();
    return app.memory.on("numbers", draw);
  },
};

// The coordinator first: its syncs are the ones that everybody waits for.
function syncs(by_process = {}) {
  const names = Object.keys(by_process).sort((one, other) => (other === "coordinator") - (one === "coordinator") || one.localeCompare(other));
  return pick(Object.fromEntries(names.map((name) => [name, by_process[name]?.p99])));
}

// What was not measured leaves a gap in the line.
function pick(two) {
  return Object.fromEntries(Object.entries(two ?? {}).filter(([, value]) => value !== null && value !== undefined));
}
