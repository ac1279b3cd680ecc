// The guided tour: six cards for somebody who is here for the first time. Each does something real and points at what to see.

import { control, post, submit } from "./api.js";
import { money } from "./accounts.js";
import { button, h, icon, mark, replace } from "./dom.js";
import { verdictCard } from "./verdict.js";

const SEEN = "tour-seen";

const CARDS = [
  {
    title: "Both sides, or neither",
    text: "A transfer touches two nodes. The coordinator asks both to promise (PREPARE); both write their promise to disk and vote yes; only then does it decide.",
    act: "Move 10 from N1/A to N2/B",
    run: async (app) => {
      const [from, to] = await money(app);
      return look(await submit({ from: from.place, to: to.place, amount: 10 }));
    },
    see: "The diamond is the decision: COMMIT, on disk before anybody is told. Hatched lanes are in doubt, from their vote until they hear it.",
    point: ".stage .paper",
  },
  {
    title: "One no is enough",
    text: "Now ask for more than the account holds. One node can promise, the other cannot.",
    act: "Ask for too much",
    run: async (app) => {
      const [from, to] = await money(app);
      return look(await submit({ from: from.place, to: to.place, amount: from.balance + 1000 }));
    },
    see: "The receipt says why. No balance changed: ABORT needs no record to be safe, since a log without COMMIT already means abort.",
    point: ".receipt",
  },
  {
    title: "Two want the same account",
    text: "Two transfers at once, both through N2/B. The first takes its lock; the second does not wait, it aborts and may try again.",
    act: "Run the conflicting pair",
    run: async (app) => {
      const answer = await scenario({ name: "conflict" });
      look(answer.transactions?.find((one) => one.outcome === "aborted"));
      return answer;
    },
    see: "The receipt names the lock and links to the transaction that held it.",
    point: ".receipt",
  },
  {
    title: "A node dies after its vote",
    text: "N2 votes yes, and is killed (kill -9). It has promised, and cannot know how it ended. It must not guess.",
    act: "Kill N2 after its vote",
    run: async (app) => {
      const answer = await scenario({ name: "crash_node", node: "N2", at: "sent.vote", delay_ms: 0, ...(await legs(app)) });
      look(answer.transactions?.[0]);
      return answer;
    },
    see: "Its lane breaks and goes on: back again, it reads its promise, takes its lock again, and learns the decision.",
    point: ".stage .paper",
  },
  {
    title: "The coordinator dies",
    text: "The moment of truth. Before COMMIT is on disk, recovery aborts; after it, recovery commits, although nobody had been told. Try both.",
    acts: [["Die before the decision", "before_commit"], ["Die after the decision", "after_commit"]],
    run: async (app, at) => {
      const answer = await scenario({ name: "crash_coordinator", at, delay_ms: 0, ...(await legs(app)) });
      look(answer.transactions?.[0]);
      return answer;
    },
    see: "Look at the coordinator's lane: is there a COMMIT record above its death?",
    point: ".stage .paper",
  },
  {
    title: "Read the verdict",
    text: "Every crash ends with a verdict: what was on disk, what recovery did, and whether all the money is there. The badge above says the same all the time, from an audit over all nodes.",
    act: "Kill the coordinator once more",
    run: async (app) => {
      const answer = await scenario({ name: "crash_coordinator", at: "prepare", delay_ms: 0, ...(await legs(app)) });
      look(answer.transactions?.[0]);
      return answer;
    },
    see: "Money conserved. Now break it yourself: the view Break has every point, and on any step of a diagram you can ask “what if it dies here?”.",
    point: "#badge",
    last: true,
  },
];

/** Offers the tour once, to somebody who was never here. */
export function offerTour(app) {
  if (remembered()) return;
  const place = document.getElementById("tour");
  place.hidden = false;
  place.className = "offer";
  replace(place, h("div", { class: "row" }, icon("flag"), h("h2", {}, "First time here?")),
    h("p", {}, "Six short cards show two-phase commit at work, and what happens when somebody dies."),
    h("div", { class: "row" }, button("Show me", () => openTour(app), { tone: "loud", id: "tour-start" }), button("Not now", () => shut(), { id: "tour-dismiss" })));
}

/** Opens the tour at its first card. */
export function openTour(app) {
  remember();
  show(app, 0);
}

function show(app, at) {
  const place = document.getElementById("tour");
  const card = CARDS[at];
  const outcome = h("div", { class: "tour-outcome", "aria-live": "polite" });
  const acts = card.acts ?? [[card.act]];
  place.hidden = false;
  place.className = "";
  document.body.classList.add("touring");
  place.dataset.card = at + 1;
  unpoint();
  const run = (argument) => async () => {
    unpoint();
    replace(outcome, h("p", { class: "small soft" }, "Watch …"));
    if (!location.hash.startsWith("#/live") && !location.hash.startsWith("#/tx")) location.hash = "#/live";
    const answer = await app.attempt(() => card.run(app, argument));
    if (answer === undefined) {
      replace(outcome);
      return;
    }
    replace(outcome, said(answer, card), h("p", { class: "look" }, card.see));
    // Who has gone on, or closed the tour, looks elsewhere by now.
    if (outcome.isConnected && !place.hidden) point(card.point);
  };
  replace(place,
    h("div", { class: "row" }, h("span", { class: "tour-dots", "aria-hidden": "true" }, ...CARDS.map((_, index) => h("i", { class: index <= at ? "done" : "" }))),
      h("span", { class: "small soft" }, `${at + 1} of ${CARDS.length}`),
      h("button", { class: "plain tight square push", type: "button", "aria-label": "Close the tour", on: { click: shut } }, icon("cross"))),
    h("h2", { tabindex: -1 }, card.title), h("p", {}, card.text), outcome,
    h("div", { class: "row" }, ...acts.map(([text, argument]) => button(text, run(argument), { tone: "loud tight", glyph: "play", data: { act: argument ?? "do" } })),
      h("span", { class: "push row" },
        at > 0 && h("button", { class: "tight", type: "button", "aria-label": "Card before", on: { click: () => show(app, at - 1) } }, "Back"),
        card.last
          ? h("button", { class: "tight", type: "button", id: "tour-end", on: { click: shut } }, "Done")
          : h("button", { class: "tight", type: "button", id: "tour-next", on: { click: () => show(app, at + 1) } }, "Next"))));
  place.querySelector("h2").focus();
}

// In one line what came of it; the last card shows the whole verdict.
function said(answer, card) {
  if (answer.verdict && card.last) return verdictCard({ ...answer, transactions: [], cli: null });
  if (answer.verdict) return h("p", {}, mark(answer.verdict.ok ? "good" : "bad", answer.verdict.ok ? "check" : "cross", answer.verdict.title));
  const committed = answer.outcome === "committed";
  return h("p", {}, mark(committed ? "good" : "bad", committed ? "check" : "cross", committed ? "Committed." : `Aborted: ${answer.reason}.`));
}

const scenario = (body) => post(control("scenarios"), body);

async function legs(app) {
  const accounts = await money(app);
  return { from: accounts[0].place, to: accounts[1].place, amount: 10 };
}

function look(outcome) {
  if (outcome?.txn) location.hash = `#/tx/${outcome.txn}`;
  return outcome;
}

// What is pointed at may not be there yet, and is built anew now and then.
let pointing;

function point(selector) {
  unpoint();
  let seen = false;
  pointing = setInterval(() => {
    const there = document.querySelector(selector);
    there?.classList.add("pointed");
    if (there && !seen) there.scrollIntoView({ block: "nearest" });
    seen ||= there !== null;
  }, 60);
}

function unpoint() {
  clearInterval(pointing);
  document.querySelectorAll(".pointed").forEach((element) => element.classList.remove("pointed"));
}

function shut() {
  remember();
  unpoint();
  document.getElementById("tour").hidden = true;
  document.body.classList.remove("touring");
}

function remember() {
  try {
    localStorage.setItem(SEEN, "yes");
  } catch {
    // Without storage it is offered again next time.
  }
}

function remembered() {
  try {
    return localStorage.getItem(SEEN) === "yes";
  } catch {
    return false;
  }
}
