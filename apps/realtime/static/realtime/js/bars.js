// The bars of one market and interval: history, the bar in progress, and flat bars where nothing
// traded, exactly as the history endpoint would answer.

import { floor, next } from "./intervals.js";
import { Revised } from "./revised.js";

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

/** Whether a message about a bar tells less than what is known of it. */
export const isOlder = (bar, held) =>
  bar.revision < held.revision || (held.closed && !bar.closed && bar.revision === held.revision);

export class Bars {
  #byTime = new Map();
  #times = [];
  #touched = new Map(); // open time → clock at which a message brought the bar
  #clock = 0;

  /** `revised` is what is known of revisions already; what messages tell of them is added. */
  constructor(interval, revised = new Revised()) {
    this.interval = interval;
    this.revised = revised;
    this.changed = new Set();
    this.replaced = false; // more changed than can be told bar by bar
    this.complete = false; // whether the first bar is the market's first
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

  /** The bar at a place, counted from the oldest. */
  at(index) {
    return this.#byTime.get(this.#times[index]);
  }

  /** The place of the first bar that opens at `time` or later; the size where there is none. */
  indexOf(time) {
    let [low, high] = [0, this.#times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#times[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  *[Symbol.iterator]() {
    for (const time of this.#times) yield this.#byTime.get(time);
  }

  /** A mark to hand to `merge` when the answer to a request made now arrives. */
  mark() {
    return this.#clock;
  }

  /**
   * Takes history in order of time. A bar that a message moved on since `mark`, while history was on
   * its way, stays: where trades were added to it, and where it was revised. History that was asked
   * for from `since` on and begins later knows of no bar between: those that are held go.
   */
  merge(bars, mark, since = Infinity) {
    if (bars.length) this.#drop(since, bars[0].time, mark);
    for (const bar of bars) {
      const held = this.#byTime.get(bar.time);
      const touched = (this.#touched.get(bar.time) ?? 0) > mark;
      if (!touched || (held.count <= bar.count && !held.revision)) this.#keep(bar);
    }
    this.#times = [...this.#byTime.keys()].sort((left, right) => left - right);
    if (bars.length) this.#carry(this.#byTime.get(bars.at(-1).time));
    this.replaced = true;
  }

  // Up to one that a message brought since `mark`: the flat bars after that one are right.
  #drop(from, to, mark) {
    for (const time of this.#times.slice(this.indexOf(from), this.indexOf(to))) {
      if ((this.#touched.get(time) ?? 0) > mark) return;
      this.#byTime.delete(time);
      this.#touched.delete(time);
    }
  }

  /**
   * Takes history, then what messages told while it was on its way, in order of time. A message about
   * a bar before history is left out, and so is one that history has overtaken.
   */
  begin(bars, early) {
    this.merge(bars, this.mark());
    for (const bar of early) if (!this.#overtook(bar)) this.apply(bar);
  }

  #overtook(bar) {
    return !bar.revision && bar.count < (this.#byTime.get(bar.time)?.count ?? 0);
  }

  /** Takes the bar of a message; false where it is older than what is known. */
  apply(bar) {
    const held = this.#byTime.get(bar.time);
    if (held && isOlder(bar, held)) return false;
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

  // The close of a bar that came late, or lost trades, is the price of the flat bars after it.
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
    this.#keep(bar);
    this.changed.add(bar.time);
  }

  // Neither history nor a flat bar tells of revisions: what a message told of them stays known.
  #keep(bar) {
    const held = this.#byTime.get(bar.time);
    const revision = Math.max(bar.revision, held?.revision ?? 0, this.revised.get(bar.time) ?? 0);
    if (revision) this.revised.set(bar.time, revision);
    this.#byTime.set(bar.time, { ...bar, revision, closed: bar.closed || (held?.closed ?? false) });
  }
}
