// Figures of chains and bridges in words. Amounts and ratios are the server's digits, cut, never rounded.

import { times, trim, write } from "./amounts.js";
import { THIN, age, compact, compare, cut } from "./format.js";

export const NONE = "–";

/** Applies `shown` to what is known. */
const known = (shown) => (value, ...more) => (value === null || value === undefined ? NONE : shown(value, ...more));

/** "420 ms", "12.3 s", "14 min", "3 h" of whole milliseconds. */
export const duration = known((ms) => {
  if (ms < 1000) return `${ms}${THIN}ms`;
  if (ms < 60_000) return `${Math.floor(ms / 1000)}.${Math.floor((ms % 1000) / 100)}${THIN}s`;
  return age(ms);
});

/** "12 s", "3 min" for what ticks: whole seconds. */
export const ticking = known((ms) => age(ms));

/** "51.2 %" of "0.5123". */
export const percentage = known((ratio, places = 1) => `${cut(times(ratio, "100"), places)}${THIN}%`);

/** "$48.21M". */
export const usd = known((amount) => `$${compact(amount, 2)}`);

/** Transactions a second: "14.2", "0.35". */
export const rate = known((value) => cut(value, compare(value, "10") < 0 ? 2 : 1));

/** A whole number in threes. */
export const count = known((value) => cut(String(value), 0));

const GWEI = 9;
const SMALL_WEI = 7; // up to so many digits wei say more than parts of a gwei

/** "12.41 gwei", "7 wei" of whole wei. */
export const gwei = known((wei) => {
  if (wei.length < SMALL_WEI) return `${cut(wei, 0)}${THIN}wei`;
  return `${significant(write(BigInt(wei), GWEI))}${THIN}gwei`;
});

/** Two decimals where there is a whole part, else the first two digits that are not zero. */
function significant(value) {
  const [whole, decimals] = value.split(".");
  if (whole !== "0") return cut(value, whole.length > 3 ? 0 : 2);
  return trim(cut(value, decimals.search(/[1-9]/) + 2));
}
