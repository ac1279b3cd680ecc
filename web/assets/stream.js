// What the server tells by itself: `GET /v1/events`. Reconnects for ever, and says whether it is connected.

import { Emitter } from "./emitter.js";

const NAMES = ["sight", "sampling", "numbers", "audit", "process", "log", "step"];
const RETRY_MS = 1000;
// The server speaks at least once a second (`numbers`); a connection that is silent for this long is dead.
const SILENCE_MAX_MS = 15_000;

/** Emits the server's events by name, and `state`: "connecting", "open" or "gone". */
export class Stream extends Emitter {
  #source = null;
  #timer = null;
  #heard = 0;
  #logs = false;
  state = "connecting";

  start() {
    this.#open();
    setInterval(() => {
      if (this.state === "open" && Date.now() - this.#heard > SILENCE_MAX_MS) this.#lost();
    }, 2000);
  }

  /** Whether process logs come too. They are many, so they come only while somebody looks. */
  logs(wanted) {
    if (this.#logs === wanted) return;
    this.#logs = wanted;
    this.#open();
  }

  #open() {
    clearTimeout(this.#timer);
    this.#source?.close();
    const source = new EventSource(`/v1/events?replay=1${this.#logs ? "&logs=1" : ""}`);
    this.#source = source;
    source.onopen = () => {
      this.#heard = Date.now();
      this.#say("open");
    };
    source.onerror = () => {
      if (source === this.#source) this.#lost();
    };
    for (const name of NAMES) {
      source.addEventListener(name, (message) => {
        this.#heard = Date.now();
        let value;
        try {
          value = JSON.parse(message.data);
        } catch {
          return; // Half a message: the connection is about to end.
        }
        this.emit(name, value);
      });
    }
  }

  // The browser's own retry gives up on some errors; ours does not.
  #lost() {
    this.#source?.close();
    this.#say("gone");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), RETRY_MS);
  }

  #say(state) {
    if (this.state === state) return;
    this.state = state;
    this.emit("state", state);
  }
}
