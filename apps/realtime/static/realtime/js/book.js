// A market's book: levels in order, added up, grouped, and what lies between the sides.

import { add, ceilTo, floorTo, times } from "./amounts.js";
import { compare, percentOf, subtract } from "./format.js";

/** The best prices; null where a side is empty. */
export const best = (book) => ({ bid: book?.bids[0]?.[0] ?? null, ask: book?.asks[0]?.[0] ?? null });

/** Levels [price, quantity] with what stands up to each: [{price, quantity, total}]. */
export function summed(levels) {
  let total = "0";
  return levels.map(([price, quantity]) => {
    total = add(total, quantity);
    return { price, quantity, total };
  });
}

/** Levels in coarser steps: bids fall to the step below, asks rise to the step above. */
export function grouped(levels, step, side) {
  const round = side === "bids" ? floorTo : ceilTo;
  const found = [];
  for (const [price, quantity] of levels) {
    const rounded = round(price, step);
    const last = found.at(-1);
    if (last && compare(last[0], rounded) === 0) last[1] = add(last[1], quantity);
    else found.push([rounded, quantity]);
  }
  return found;
}

/** What lies between the best prices, and that in percent of the bid; null where a side is empty. */
export function spread(book) {
  const { bid, ask } = best(book);
  if (bid === null || ask === null) return null;
  const width = subtract(ask, bid);
  return { width, percent: percentOf(width, bid) };
}

/** Prices that a reader may group by: the tick, and ten, a hundred, a thousand of it. */
export const steps = (tick) => ["1", "10", "100", "1000"].map((times10) => times(tick, times10));
