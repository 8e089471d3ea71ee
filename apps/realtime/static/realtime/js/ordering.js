// The order of the list of markets.

import { compare } from "./format.js";
import { isTrading, pair } from "./state.js";

const AMOUNTS = {
  last: ({ ticker }) => ticker?.last ?? null,
  change: ({ ticker }) => ticker?.changePercent ?? null,
  volume: ({ ticker }) => ticker?.quoteVolume ?? null,
};

const byName = (left, right) => (pair(left) < pair(right) ? -1 : Number(pair(left) > pair(right)));

/**
 * Orders two markets by `by`: name, last, change or volume; `down` has the largest first. Markets
 * without the amount come last either way. Without `by`, markets that trade come first.
 */
export function ordered({ by, down }) {
  if (!by) return (left, right) => Number(isTrading(right)) - Number(isTrading(left)) || byName(left, right);
  if (by === "name") return (left, right) => (down ? byName(right, left) : byName(left, right));
  return (left, right) => byAmount(AMOUNTS[by](left), AMOUNTS[by](right), down) || byName(left, right);
}

function byAmount(left, right, down) {
  if (left === null || right === null) return Number(left === null) - Number(right === null);
  return down ? compare(right, left) : compare(left, right);
}
