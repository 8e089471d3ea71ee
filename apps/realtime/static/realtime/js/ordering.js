// The order of the list of markets.

import { compare } from "./format.js";
import { isTrading, pair } from "./state.js";

const AMOUNTS = {
  last: ({ ticker }) => ticker?.last ?? null,
  change: ({ ticker }) => ticker?.changePercent ?? null,
  volume: ({ ticker }) => ticker?.quoteVolume ?? null,
};

const byText = (left, right) => (left < right ? -1 : Number(left > right));
const byName = (left, right) => byText(pair(left), pair(right));
const byQuote = (left, right) => byText(left.quote ?? "", right.quote ?? "");

/**
 * Orders two markets by `by`: name, last, change or volume; `down` has the largest first. Markets
 * without the amount come last either way. Volumes are amounts of the quote asset: those of one stand
 * together. Without `by`, markets that trade come first.
 */
export function ordered({ by, down }) {
  if (!by) return (left, right) => Number(isTrading(right)) - Number(isTrading(left)) || byName(left, right);
  if (by === "name") return (left, right) => (down ? byName(right, left) : byName(left, right));
  const amount = AMOUNTS[by];
  const byGroup = by === "volume" ? byQuote : () => 0;
  return (left, right) =>
    Number(amount(left) === null) - Number(amount(right) === null) ||
    byGroup(left, right) ||
    byAmount(amount(left), amount(right), down) ||
    byName(left, right);
}

function byAmount(left, right, down) {
  if (left === null) return 0; // so is the other
  return down ? compare(right, left) : compare(left, right);
}
