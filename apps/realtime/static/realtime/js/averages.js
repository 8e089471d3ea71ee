// Simple moving averages over closes, exact: from sums of the closes' digits as whole numbers.

import { at as partsOf, write } from "./amounts.js";

export const PERIODS = [7, 25, 99];

const PLACES = 18; // no market's prices have more

export class Averages {
  #sums = [0n]; // of the closes of the first 0, 1, 2, … bars

  /** Follows `bars` from the place `from` on; before it nothing has changed. */
  follow(bars, from) {
    const known = Math.min(from, this.#sums.length - 1);
    this.#sums.length = known + 1;
    for (let at = known; at < bars.size; at += 1) this.#sums.push(this.#sums[at] + partsOf(bars.at(at).close, PLACES));
  }

  /** The mean of the `period` closes that end at a place, cut to 18 decimals; null before there are so many. */
  at(index, period) {
    const start = index + 1 - period;
    if (start < 0 || index + 1 >= this.#sums.length) return null;
    return write((this.#sums[index + 1] - this.#sums[start]) / BigInt(period), PLACES);
  }
}
