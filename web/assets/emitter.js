// Who wants to know what. `on` gives back a function that ends it, so that a view that closes leaves nothing behind.

export class Emitter {
  #listeners = new Map();

  on(name, act) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name).add(act);
    return () => this.#listeners.get(name).delete(act);
  }

  emit(name, value) {
    this.#listeners.get(name)?.forEach((act) => act(value));
  }
}

/** Runs `act` at the next frame, however often it is asked for before. */
export function eachFrame(act) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      act();
    });
  };
}

/** Runs `act` now and then at most every `ms`; the last request is never lost. */
export function atMostEvery(ms, act) {
  let timer = null;
  let again = false;
  const run = () => {
    timer = setTimeout(() => {
      timer = null;
      if (again) {
        again = false;
        run();
      }
    }, ms);
    act();
  };
  return () => {
    if (timer === null) run();
    else again = true;
  };
}
