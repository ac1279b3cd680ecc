// What the processes say, all together: with prefix, filter, pause and download. Long lists stay short here: only the newest lines.

import { control, get } from "./api.js";
import { button, field, h, offer, select } from "./dom.js";
import { atMostEvery } from "./emitter.js";

const SHOWN_MAX = 400;

export const logs = {
  title: "Logs",

  open(root, argument, app) {
    const process = select([["", "all"]]);
    const contains = h("input", { type: "search", placeholder: "a word, an id", spellcheck: "false", autocomplete: "off" });
    const count = h("span", { class: "small soft" });
    const lines = h("div", { class: "log-lines mono", role: "log", "aria-label": "Log lines", tabindex: 0 });
    let paused = false;
    const pause = button("Pause", () => {
      paused = !paused;
      pause.lastChild.textContent = paused ? "Go on" : "Pause";
      pause.setAttribute("aria-pressed", String(paused));
      if (!paused) draw();
    }, { glyph: "pause", "aria-pressed": "false" });

    root.className = "logs-view";
    root.append(h("h1", { class: "visually-hidden" }, "Logs"), h("section", { class: "card stack fill" },
      h("div", { class: "row end" }, field("Process", process, { class: "amount" }), field("Lines with", contains, { class: "grow" }), pause,
        h("a", { class: "button", href: control("logs/download"), download: "twopence-logs.txt" }, "Download"), count), lines));

    const draw = atMostEvery(200, () => {
      if (paused) return;
      const word = contains.value.toLowerCase();
      const fitting = app.memory.logs.all().filter((one) => (!process.value || one.process === process.value) && (!word || one.line.toLowerCase().includes(word)));
      const stick = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
      lines.replaceChildren(...fitting.slice(-SHOWN_MAX).map(line));
      count.textContent = `${Math.min(fitting.length, SHOWN_MAX)} of ${app.memory.logs.length} lines`;
      if (stick) lines.scrollTop = lines.scrollHeight;
    });

    const names = () => offer(process, [["", "all"], ...app.processes()], process.value);

    // What was said before anybody looked. Asked once live lines come, so that none falls between.
    const before = async () => {
      const page = await get(control("logs")).catch(() => ({}));
      app.memory.logsBefore(page.lines ?? []);
      draw();
    };
    app.stream.logs(true);
    before();
    process.addEventListener("change", draw);
    contains.addEventListener("input", draw);
    names();
    draw();
    const again = (state) => {
      if (state !== "open") return;
      app.memory.forgetLogs();
      before();
    };
    const ends = [app.memory.on("log", draw), app.on("cluster", names), app.stream.on("state", again)];
    return () => {
      ends.forEach((end) => end());
      app.stream.logs(false);
    };
  },
};

function line({ process, line: text }) {
  const level = /\[(WARN|ERROR)\]/.exec(text)?.[1] ?? "";
  return h("div", { class: `log-line ${level.toLowerCase()}` }, h("span", { class: "log-process", data: { process } }, process === "coordinator" ? "coord" : process), text);
}
