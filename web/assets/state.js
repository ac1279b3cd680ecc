// What is on the disks: each process's decoded store, and its write-ahead log, line by line.

import { control, get } from "./api.js";
import { button, choice, field, h, mark, offer, replace, select } from "./dom.js";
import { txLink } from "./list.js";

const LOG_PAGE = 200;

export const state = {
  title: "State",

  open(root, argument, app) {
    const owner = select([]);
    const what = choice("Show", "state-what", [["state", "Store"], ["log", "Write-ahead log"]], "state", () => load());
    const txn = h("input", { type: "search", placeholder: "e564…-1-4, or part of it", spellcheck: "false", autocomplete: "off" });
    const filter = field("Only this transaction", txn, { class: "grow" });
    const place = h("div", { class: "scroll state-body", tabindex: 0, role: "region", "aria-label": "Contents" });
    const note = h("p", { class: "small soft" });
    let asked = 0;
    let chosen = "N1";

    root.className = "state-view";
    root.append(h("h1", { class: "visually-hidden" }, "State and logs on disk"), h("section", { class: "card stack fill" },
      h("div", { class: "row end" }, field("Of", owner, { class: "amount" }), what, filter, button("Read again", () => load(), { glyph: "again" })), note, place));

    async function load() {
      const mine = ++asked;
      filter.hidden = what.value !== "log";
      if (!owner.value) return;
      try {
        const shown = what.value === "log" ? await readLog(owner.value, txn.value.trim()) : await readState(owner.value);
        if (mine !== asked) return;
        note.textContent = shown.note;
        replace(place, shown.element);
      } catch (problem) {
        if (mine !== asked) return;
        note.textContent = "";
        replace(place, h("p", { class: "empty" }, problem.message, " ", problem.next ?? ""));
      }
    }

    const names = () => offer(owner, app.processes(), chosen, "coordinator");

    owner.addEventListener("change", () => {
      chosen = owner.value;
      load();
    });
    txn.addEventListener("input", load);
    names();
    load();
    const end = app.on("cluster", () => {
      const had = owner.value;
      names();
      if (had !== owner.value || place.childElementCount === 0) load();
    });
    return () => {
      asked += 1;
      end();
    };
  },
};

async function readState(owner) {
  const page = await get(control(`stores/${encodeURIComponent(owner)}/state`));
  const entries = page.entries ?? [];
  const trees = Map.groupBy(entries, (entry) => entry.tree ?? "entries");
  const tables = [...trees].map(([tree, list]) => h("section", {},
    h("h2", { class: "tree" }, `${tree} · ${list.length}`),
    h("table", { class: "entries" }, h("tbody", {}, ...list.map(({ key, value }) => {
      const [name, shown, more] = friendly(key, value);
      return h("tr", {}, h("td", { class: "mono key" }, name), h("td", { class: "mono value" }, shown), h("td", { class: "soft small more" }, more));
    })))));
  const more = page.next || page.more ? ", and more than fits here" : "";
  return {
    note: `${entries.length} entries${more}${page.source ? `, read from ${page.source}` : ""}${page.store ? `, ${page.store} store` : ""}.`,
    element: h("div", { class: "stack" }, ...tables),
  };
}

// An entry as people read it: {"Account":"A"} with {"account":["A",660,11]} is A with 660, changed 11 times.
function friendly(key, value) {
  const [kind, name] = unwrap(parsed(key));
  const [, content] = unwrap(parsed(value));
  const rest = Array.isArray(content) && content[0] === name ? content.slice(1) : content;
  if (kind === "Account" && Array.isArray(rest)) return [name, `${rest[0]}`, `changed ${rest[1]} ${rest[1] === 1 ? "time" : "times"}`];
  return [name === undefined ? kind : loose(name), loose(Array.isArray(rest) && rest.length === 1 ? rest[0] : rest), kind];
}

function unwrap(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return [String(value), value];
  const keys = Object.keys(value);
  return keys.length === 1 ? [keys[0], value[keys[0]]] : ["", value];
}

function parsed(value) {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** JSON without its quotation marks. */
function loose(value) {
  return typeof value === "string" ? value : JSON.stringify(value).replace(/"/g, "").replace(/([:,])/g, "$1 ");
}

async function readLog(owner, txn) {
  const page = await get(`${control(`stores/${encodeURIComponent(owner)}/log`)}?limit=${LOG_PAGE}${txn ? `&txn=${encodeURIComponent(txn)}` : ""}`);
  if (page.trees) {
    return {
      note: "sled keeps no log of lines: its trees, and the last sequence that they hold.",
      element: h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "Tree"), h("th", { class: "num" }, "Entries"))),
        h("tbody", {}, ...page.trees.map(({ name, entries }) => h("tr", {}, h("td", { class: "mono" }, name), h("td", { class: "num mono" }, entries))),
          h("tr", {}, h("td", {}, "last sequence"), h("td", { class: "num mono" }, page.last_sequence)))),
    };
  }
  const lines = page.lines ?? [];
  return {
    note: `The newest ${lines.length} lines${txn ? " about it" : ""}. A line counts if its checksum is right; what was never promised may be torn off by a crash.`,
    element: h("table", { class: "wal" },
      h("thead", {}, h("tr", {}, h("th", { class: "num" }, "Seq"), h("th", {}, "CRC-32"), h("th", {}, "Action"), h("th", {}, "Record"))),
      h("tbody", {}, ...lines.map((line) => h("tr", { title: line.raw },
        h("td", { class: "num mono" }, line.seq ?? ""),
        h("td", { class: "mono" }, mark(line.crc_ok ? "good" : "bad", line.crc_ok ? "check" : "cross", line.crc ?? "")),
        h("td", { class: "mono action" }, line.action ?? ""),
        h("td", { class: "mono value" }, line.txn ? [txLink(line.txn), " "] : "", rest(line)))))),
  };
}

function rest({ text = "", action = "", txn }) {
  let words = text;
  for (const known of [action, txn]) if (known && words.startsWith(known)) words = words.slice(known.length).trimStart();
  return words;
}
