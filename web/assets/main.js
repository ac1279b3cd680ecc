// Where the panel starts: it follows the server, keeps the header true, and opens the view that the address names.

import { app } from "./app.js";
import { icon, replace } from "./dom.js";
import { span } from "./format.js";
import { startTheme } from "./appearance.js";
import { offerTour, openTour } from "./tour.js";
import { live } from "./live.js";
import { operate } from "./operate.js";
import { breakIt } from "./break.js";
import { processes } from "./processes.js";
import { state } from "./state.js";
import { logs } from "./logs.js";
import { charts } from "./charts.js";

// What `#/NAME` opens. `#/tx/ID` is the live view of one transaction.
const VIEWS = { live, tx: live, operate, break: breakIt, processes, state, logs, charts };

const DOUBT_MS = 500;

const byId = (id) => document.getElementById(id);
let close = () => {};
let opened = null;

function route() {
  const [, name = "", argument = ""] = location.hash.split("/");
  const view = VIEWS[name] ?? live;
  const argumentText = safely(() => decodeURIComponent(argument));
  for (const link of document.querySelectorAll(".rail a")) {
    const own = VIEWS[link.hash.slice(2)] === view;
    if (own) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // The live view goes from one transaction to the next without being built anew.
  if (opened === view && view.show) {
    view.show(argumentText);
    return;
  }
  close();
  opened = view;
  const root = byId("view");
  root.className = "";
  root.replaceChildren();
  document.title = `${view.title} · Twopence`;
  close = view.open(root, argumentText, app) ?? (() => {});
}

function safely(act) {
  try {
    return act();
  } catch {
    return "";
  }
}

function header() {
  document.querySelectorAll("[data-icon]").forEach((place) => place.replaceChildren(icon(place.dataset.icon)));
  startTheme(byId("theme"));
  byId("tour-open").addEventListener("click", () => openTour(app));

  app.memory.on("audit", ({ state, text }) => {
    const badge = byId("badge");
    badge.className = `badge ${state}`;
    replace(badge.querySelector(".badge-mark"), icon({ green: "check", red: "cross", grey: "ask" }[state] ?? "ask"));
    if (byId("badge-text").textContent !== text) byId("badge-text").textContent = text;
  });

  app.memory.on("numbers", ({ in_doubt, oldest_in_doubt_ms }) => {
    const doubt = byId("doubt");
    // Every transaction is in doubt for a moment: only what lasts is news.
    doubt.hidden = !in_doubt || !(oldest_in_doubt_ms > DOUBT_MS);
    if (!doubt.hidden) doubt.textContent = `${in_doubt} in doubt, oldest ${span(oldest_in_doubt_ms * 1000)}`;
  });

  // A gateway has no control over processes, and so none of the views that need it.
  app.on("cluster", (cluster) => {
    for (const name of ["break", "processes", "state", "logs"]) document.querySelector(`.rail a[href="#/${name}"]`).hidden = !cluster;
    byId("tour-open").hidden = !cluster;
    if (!cluster) byId("tour").hidden = true;
  });

  const link = (now) => {
    byId("link").dataset.state = now;
    byId("link-text").textContent = { connecting: "connecting", open: "live", gone: "server gone, trying again" }[now];
    document.body.classList.toggle("gone", now === "gone");
  };
  app.stream.on("state", link);
  link(app.stream.state);
}

header();
app.start();
addEventListener("hashchange", route);
route();
offerTour(app);
