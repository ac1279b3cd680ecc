// Failures and recovery: start a transfer, kill somebody at a chosen point, and read in plain words why no money was lost.

import { control, post } from "./api.js";
import { cliLine } from "./app.js";
import { button, choice, field, h, mark, offer, replace, select } from "./dom.js";
import { figure } from "./figure.js";
import { number, place } from "./operate.js";
import { verdictCard } from "./verdict.js";

const COORDINATOR_POINTS = [
  ["none", "None", "It dies only after the delay, wherever it is then."],
  ["prepare", "PREPARE", "It dies while it collects votes: nothing is decided, so recovery aborts."],
  ["before_commit", "BEFORE_COMMIT", "All voted yes, and COMMIT is not on disk yet: recovery aborts."],
  ["after_commit", "AFTER_COMMIT", "COMMIT is on disk and nobody was told: recovery commits."],
];

const NODE_POINTS = [
  ["none", "None", "It dies only after the delay, wherever it is then."],
  ["received.prepare", "before its vote", "It dies when it is asked: nothing is promised, so the transfer aborts."],
  ["sent.vote", "after its vote", "It has promised and dies in doubt; back again it asks how it ended."],
  ["append.commit", "hearing COMMIT", "It dies as it writes COMMIT down; it is told again until it acknowledges."],
  ["sending.ack", "before its ack", "It has done everything and dies before it says so: told again, it does nothing twice."],
];

const ACTIONS = [["kill", "kill -9"], ["stop", "freeze"], ["sleep:1500", "sleep 1.5 s"]];

export const breakIt = {
  title: "Break",

  open(root, argument, app) {
    const ends = [];
    const from = place("N1/A");
    const to = place("N2/B");
    const amount = number(30);
    const delay = number(0, 0);
    const coordDelay = number(0, 0);
    const node = h("select", { id: "crash-node" });
    const nodesThere = () => offer(node, app.nodes(), node.value || "N2", app.nodes()[0]);
    const stage = h("div", { class: "stack", "aria-live": "polite" });
    const idle = h("div", { class: "card empty" }, h("p", {}, "Choose where somebody dies, start the transfer, and read the verdict here."),
      h("p", { class: "small" }, "The crash is real: the process is killed with SIGKILL, starts again, and reads its log."));
    stage.append(idle);

    const transfer = () => ({ from: from.value.trim(), to: to.value.trim(), amount: Number(amount.value) });
    const run = async (body, who) => {
      replace(stage, h("div", { class: "card running" }, mark("wait", "skull", `The transfer runs, ${who} dies, recovery follows …`)));
      const answer = await app.attempt(() => post(control("scenarios"), body));
      const crashed = answer?.transactions?.find((one) => one.txn);
      replace(stage, answer ? verdictCard(answer) : idle, crashed && figure(app, crashed.txn, ends));
      stage.querySelector("h2")?.focus();
    };

    const coordinatorAt = points("Coordinator fails at", "coordinator-at", COORDINATOR_POINTS, "before_commit");
    const nodeAt = points("Node dies", "node-at", NODE_POINTS, "sent.vote");

    root.className = "break";
    root.append(h("h1", { class: "visually-hidden" }, "Break it and watch it recover"),
      h("div", { class: "columns two" },
        h("div", { class: "stack" },
          h("section", { class: "card stack", "aria-label": "The transfer" }, h("h2", {}, "The transfer"),
            h("div", { class: "row end" }, field("From", from, { class: "grow" }), field("To", to, { class: "grow" }), field("Amount", amount, { class: "amount" }))),
          h("section", { class: "card stack", "aria-label": "Crash the coordinator" }, h("h2", {}, "Kill the coordinator"), coordinatorAt,
            h("div", { class: "row end" }, field("Coordinator's delay, ms", coordDelay, { class: "amount" }),
              button("Start transfer, then crash the coordinator", () => run({ name: "crash_coordinator", at: coordinatorAt.value, delay_ms: Number(coordDelay.value), ...transfer() }, "the coordinator"), { tone: "danger", glyph: "skull", id: "crash-coordinator" }))),
          h("section", { class: "card stack", "aria-label": "Crash a node" }, h("h2", {}, "Kill a node"), nodeAt,
            h("div", { class: "row end" }, field("Node", node, { class: "amount" }), field("Delay, ms", delay, { class: "amount" }),
              button("Start transfer, then crash the node", () => run({ name: "crash_node", node: node.value, at: nodeAt.value, delay_ms: Number(delay.value), ...transfer() }, node.value), { tone: "danger", glyph: "skull", id: "crash-node-go" }))),
          failpoints(app, ends)),
        stage));

    nodesThere();
    ends.push(app.on("cluster", nodesThere));
    return () => ends.forEach((end) => end());
  },
};

// A choice whose meaning is said below it.
function points(legend, name, options, value) {
  const said = h("p", { class: "small soft" });
  const say = (key) => { said.textContent = options.find(([one]) => one === key)?.[2] ?? ""; };
  const bar = choice(legend, name, options, value, say);
  bar.append(said);
  say(value);
  return bar;
}

function failpoints(app, ends) {
  const process = select([]);
  const name = h("input", { list: "failpoints", value: "sending.vote", spellcheck: "false", autocomplete: "off", required: true });
  const action = select(ACTIONS, "kill");
  const names = ["received.prepare", "append.prepare_ok", "synced.prepare_ok", "sending.vote", "sent.vote", "received.commit", "append.commit",
    "synced.commit", "sending.ack", "sent.ack", "sent.prepare", "append.COMMIT", "synced.COMMIT", "sent.commit"];
  const line = () => `${name.value}=${action.value}`;
  const shown = cliLine(line());
  const fill = () => offer(process, app.processes(), process.value || "N1");
  fill();
  ends.push(app.on("cluster", fill));
  const section = h("details", { class: "card" }, h("summary", {}, h("strong", {}, "Arm a failpoint yourself")),
    h("div", { class: "stack" },
      h("p", { class: "small soft" }, "An armed point acts once, the next time the process comes by."),
      h("datalist", { id: "failpoints" }, ...names.map((value) => h("option", { value }))),
      h("div", { class: "row end" }, field("Process", process, { class: "amount" }), field("Point", name, { class: "grow" }), field("What happens", action, { class: "amount" })),
      h("div", { class: "row" }, h("span", { class: "grow" }, shown),
        button("Arm", () => app.attempt(async () => {
          await post(control("failpoints"), { process: process.value, failpoint: line() });
          app.notice(`${process.value} will meet ${line()}.`, "good");
        }), { glyph: "crack" }))));
  section.addEventListener("input", () => shown.set(line()));
  return section;
}
