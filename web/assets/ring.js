// A list that never grows beyond its size: what is new pushes out what is oldest.

export class Ring {
  #items = [];
  #size;
  /** How many items were ever pushed out. */
  lost = 0;

  constructor(size) {
    this.#size = size;
  }

  push(item) {
    this.#items.push(item);
    // Cut in blocks: shifting a long array for each item would cost more than the item.
    if (this.#items.length > this.#size * 1.25) {
      const surplus = this.#items.length - this.#size;
      this.#items.splice(0, surplus);
      this.lost += surplus;
    }
  }

  /** The items, oldest first. */
  all() {
    return this.#items.length > this.#size ? this.#items.slice(-this.#size) : this.#items;
  }

  get length() {
    return Math.min(this.#items.length, this.#size);
  }

  last() {
    return this.#items.at(-1);
  }

  clear() {
    this.#items = [];
  }
}
