// Messages about bars that came while history was on its way: the newest of each bar.

import { isOlder } from "./bars.js";

export class Early {
  #byTime = new Map();
  #stopped = false;

  /** Takes the bar of a message. */
  add(bar) {
    const held = this.#byTime.get(bar.time);
    if (!this.#stopped && !(held && isOlder(bar, held))) this.#byTime.set(bar.time, bar);
  }

  /** History does not come: what was kept for it goes, and nothing more is kept. */
  stop() {
    this.#stopped = true;
    this.#byTime.clear();
  }

  /** In order of time. */
  *[Symbol.iterator]() {
    yield* [...this.#byTime.values()].sort((left, right) => left.time - right.time);
  }
}
