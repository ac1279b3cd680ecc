// The processes: start, stop, kill -9, restart, freeze and thaw each; and a new cluster in place of this one.

import { control, get, post } from "./api.js";
import { button, choice, field, h, icon, mark, replace, settle } from "./dom.js";

const STATES = {
  running: ["good", "play"], starting: ["wait", "dots"], frozen: ["wait", "freeze"], stopped: ["idle", "stop"], ended: ["bad", "skull"],
};

// Which action makes sense in which state.
const ACTIONS = [
  ["start", "Start", "play", ["stopped", "ended"]],
  ["stop", "Stop", "stop", ["running", "frozen", "starting"]],
  ["kill", "kill -9", "skull", ["running", "frozen", "starting"]],
  ["restart", "Restart", "again", ["running", "frozen"]],
  ["freeze", "Freeze", "freeze", ["running"]],
  ["thaw", "Thaw", "sun", ["frozen"]],
];

export const processes = {
  title: "Processes",

  open(root, argument, app) {
    const ends = [];
    const rows = new Map();
    const body = h("tbody");
    const facts = h("dl", { class: "ids small" });
    const auto = h("input", { type: "checkbox", checked: true });
    auto.addEventListener("change", () => app.attempt(() => post(control("auto_restart"), { on: auto.checked })));
    const none = h("p", { class: "empty" }, "This server has no control over processes: it is a gateway. Start the panel with twopence up.");
    const all = (action) => () => order(app, "all", action);

    const section = h("div", { class: "columns two" },
      h("section", { class: "card stack", "aria-label": "Processes" },
        h("div", { class: "row" }, h("h2", {}, "Processes"), h("span", { class: "push row" },
          button("Start all", all("start"), { glyph: "play", tone: "tight", id: "start-all" }), button("Stop all", all("stop"), { glyph: "stop", tone: "tight", id: "stop-all" }))),
        h("div", { class: "scroll" }, h("table", { class: "processes" },
          h("thead", {}, h("tr", {}, h("th", {}, "Process"), h("th", {}, "State"), h("th", { class: "num" }, "Pid"), h("th", { class: "num" }, "Port"), h("th", {}, "Do"))), body)),
        h("label", { class: "check" }, auto, "A process that dies by itself, or is killed, starts again after a second")),
      h("div", { class: "stack" },
        h("section", { class: "card", "aria-label": "This cluster" }, h("h2", {}, "This cluster"), facts),
        newCluster(app, ends)));

    root.className = "processes-view";
    root.append(h("h1", { class: "visually-hidden" }, "Processes"), none, section);

    function draw(cluster = app.cluster) {
      none.hidden = Boolean(cluster);
      section.hidden = !cluster;
      if (!cluster) return;
      const states = app.states();
      const list = [cluster.coordinator, ...cluster.nodes];
      for (const process of list) {
        if (!rows.has(process.name)) rows.set(process.name, new Row(app, process.name));
        rows.get(process.name).draw(process, states.get(process.name) ?? process.state);
      }
      settle(body, list.map(({ name }) => rows.get(name).element));
      if (cluster.auto_restart !== undefined) auto.checked = cluster.auto_restart;
      replace(facts, ...Object.entries({ Store: cluster.store, Locking: cluster.locking, "Data directory": cluster.data_dir, "Panel's port": cluster.http_port })
        .flatMap(([name, value]) => [h("dt", {}, name), h("dd", { class: "mono" }, String(value ?? "–"))]));
    }

    draw();
    ends.push(app.on("cluster", draw), app.memory.on("process", () => draw()));
    return () => ends.forEach((end) => end());
  },
};

// Does it, and says what one would have typed.
async function order(app, name, action) {
  const done = await app.attempt(() => post(control(`processes/${encodeURIComponent(name)}/${action}`)));
  if (done?.cli) app.notice(`$ ${done.cli}`);
  app.refresh();
}

class Row {
  #state = h("td");
  #pid = h("td", { class: "num mono", data: { label: "pid" } });
  #port = h("td", { class: "num mono", data: { label: "port" } });
  #buttons;
  #drawn = "";

  constructor(app, name) {
    this.#buttons = ACTIONS.map(([action, text, glyph]) => button(text, () => order(app, name, action),
      { glyph, tone: action === "kill" ? "danger tight" : "tight", data: { action }, "aria-label": `${text} ${name}` }));
    this.element = h("tr", { data: { process: name } }, h("th", { scope: "row", class: "process-name" }, name), this.#state, this.#pid, this.#port,
      h("td", {}, h("div", { class: "row actions" }, ...this.#buttons)));
  }

  draw(process, state) {
    const drawn = `${state} ${process.pid} ${process.port} ${process.why}`;
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const [tone, glyph] = STATES[state] ?? ["idle", "ask"];
    replace(this.#state, mark(tone, glyph, state), process.why ? h("div", { class: "small soft why-text" }, process.why) : "");
    this.element.dataset.state = state;
    this.#pid.textContent = process.pid ?? "–";
    this.#port.textContent = process.port ?? "–";
    // Start and Stop share a place, and so do Freeze and Thaw, so that nothing jumps under the mouse.
    const possible = new Map(ACTIONS.map(([action, , , states]) => [action, states.includes(state)]));
    const away = new Set([possible.get("start") ? "stop" : "start", possible.get("thaw") ? "freeze" : "thaw"]);
    for (const element of this.#buttons) {
      element.disabled = !possible.get(element.dataset.action);
      element.hidden = away.has(element.dataset.action);
    }
  }
}

function newCluster(app, ends) {
  const nodes = h("input", { type: "number", min: 1, max: 9, value: 3, required: true });
  const coordPort = h("input", { type: "number", min: 1, max: 65535, value: 5000, required: true });
  const basePort = h("input", { type: "number", min: 1, max: 65535, value: 6001, required: true });
  const store = choice("Store", "store", [["json", "json"], ["sled", "sled"]], "json");
  const locking = choice("Locking", "locking", [["no-wait", "no-wait"], ["wait", "wait"], ["escrow", "escrow"]], "no-wait");
  const sure = h("input", { type: "checkbox", id: "erase-sure" });
  const go = h("button", { class: "danger", type: "submit", disabled: true }, icon("warn"), "Erase and start the new cluster");
  sure.addEventListener("change", () => { go.disabled = !sure.checked; });
  let filled = false;
  const prefill = (cluster) => {
    if (filled || !cluster) return;
    filled = true;
    nodes.value = cluster.nodes.length;
    coordPort.value = cluster.coordinator.port;
    basePort.value = cluster.nodes[0]?.port ?? 6001;
    store.value = cluster.store;
    locking.value = cluster.locking;
  };
  prefill(app.cluster);
  ends.push(app.on("cluster", prefill));
  const form = h("form", { class: "card stack", "aria-label": "A new cluster", novalidate: true },
    h("h2", {}, "A new cluster"),
    h("div", { class: "row end" }, field("Nodes", nodes, { class: "amount" }), field("Coordinator's port", coordPort, { class: "amount" }), field("First node's port", basePort, { class: "amount" })),
    h("div", { class: "row end" }, store, locking),
    h("p", { class: "warning small" }, icon("warn"), " This stops every process and erases the data directory: all accounts, logs and balances of this cluster are gone."),
    h("label", { class: "check" }, sure, "Erase everything in the data directory"),
    h("div", { class: "row" }, go));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.setAttribute("aria-busy", "true");
    await app.attempt(async () => {
      await post(control("cluster"), { nodes: Number(nodes.value), store: store.value, locking: locking.value, coord_port: Number(coordPort.value), base_port: Number(basePort.value), erase: true });
      app.memory.forgetAll();
      app.notice("The new cluster is up.", "good");
      app.cluster = await get(control("cluster"));
      app.refresh();
    });
    sure.checked = false;
    go.disabled = true;
    go.removeAttribute("aria-busy");
  });
  return form;
}
