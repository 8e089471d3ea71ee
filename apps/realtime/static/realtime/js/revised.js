// How often bars were revised, as messages told while the page is open: history does not say it.

const BARS = 1_000; // of one market and interval
const VIEWS = 50; // markets and intervals

/** Open time → revision; the bars that were told of last. */
export class Revised extends Map {
  set(time, revision) {
    super.set(time, revision);
    if (this.size > BARS) this.delete(this.keys().next().value);
    return this;
  }
}

const views = new Map();

/** What is known of a market's bars of one interval: the same each time, while it is among those last asked for. */
export function revisedOf({ symbol, interval }) {
  const key = `${symbol}:${interval}`;
  const found = views.get(key) ?? new Revised();
  views.delete(key);
  views.set(key, found);
  if (views.size > VIEWS) views.delete(views.keys().next().value);
  return found;
}
