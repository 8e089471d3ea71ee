// The bars of one market and interval: history, the bar in progress, and flat bars where nothing
// traded, exactly as the history endpoint would answer.

import { floor, next } from "./intervals.js";

/** A bar out of a row of /api/v3/klines. */
export function ofKline(row) {
  return {
    time: row[0],
    open: row[1],
    high: row[2],
    low: row[3],
    close: row[4],
    volume: row[5],
    count: row[8],
    closed: false,
    revision: 0,
  };
}

/** A bar out of a candle.* message. */
export function ofMessage(data) {
  return {
    time: data.openTime,
    open: data.open,
    high: data.high,
    low: data.low,
    close: data.close,
    volume: data.baseVolume,
    count: data.tradeCount,
    closed: data.closed,
    revision: data.revision,
  };
}

const flat = (time, price) => ({
  time,
  open: price,
  high: price,
  low: price,
  close: price,
  volume: "0",
  count: 0,
  closed: false,
  revision: 0,
});

export class Bars {
  #byTime = new Map();
  #times = [];
  #touched = new Map(); // open time → clock at which a message brought the bar
  #clock = 0;

  constructor(interval) {
    this.interval = interval;
    this.changed = new Set();
    this.replaced = false; // more changed than can be told bar by bar
  }

  get first() {
    return this.#byTime.get(this.#times[0]);
  }

  get last() {
    return this.#byTime.get(this.#times.at(-1));
  }

  get size() {
    return this.#times.length;
  }

  get(time) {
    return this.#byTime.get(time);
  }

  *[Symbol.iterator]() {
    for (const time of this.#times) yield this.#byTime.get(time);
  }

  /** A mark to hand to `merge` when the answer to a request made now arrives. */
  mark() {
    return this.#clock;
  }

  /** Takes history. A bar that a message moved on since `mark`, while history was on its way, stays. */
  merge(bars, mark) {
    for (const bar of bars) {
      const held = this.#byTime.get(bar.time);
      const newer = held && (this.#touched.get(bar.time) ?? 0) > mark && held.count > bar.count;
      if (!newer) this.#byTime.set(bar.time, bar);
    }
    this.#times = [...this.#byTime.keys()].sort((left, right) => left - right);
    this.replaced = true;
  }

  /** Takes the bar of a message; false where it is older than what is known. */
  apply(bar) {
    const held = this.#byTime.get(bar.time);
    if (held && (bar.revision < held.revision || (held.closed && !bar.closed && bar.revision === held.revision))) {
      return false;
    }
    if (!held && this.size && bar.time < this.first.time) return false;
    if (this.size) this.fill(bar.time);
    this.#put(bar);
    this.#touched.set(bar.time, ++this.#clock);
    this.#carry(bar);
    return true;
  }

  /** Flat bars at the last close, up to the bucket that holds `moment`. */
  fill(moment) {
    if (!this.size) return;
    const end = floor(this.interval, moment);
    for (let time = next(this.interval, this.last.time); time <= end; time = next(this.interval, time)) {
      this.#put(flat(time, this.last.close));
    }
  }

  /** Whether there is a hole that only history can say something about. */
  misses(bar) {
    return this.size > 0 && bar.time > next(this.interval, this.last.time);
  }

  // The close of a bar that came late is the price of the flat bars after it.
  #carry(bar) {
    for (let time = next(this.interval, bar.time); this.#byTime.get(time)?.count === 0; time = next(this.interval, time)) {
      this.#put(flat(time, bar.close));
    }
  }

  #put(bar) {
    if (!this.#byTime.has(bar.time)) {
      this.#times.push(bar.time);
      if (this.#times.length > 1 && bar.time < this.#times.at(-2)) this.#times.sort((left, right) => left - right);
    }
    this.#byTime.set(bar.time, bar);
    this.changed.add(bar.time);
  }
}
