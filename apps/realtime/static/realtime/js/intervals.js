// Candle intervals: UTC buckets, Monday weeks, calendar months.

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const FIRST_MONDAY = 4 * DAY; // 1970-01-05

const LENGTHS = new Map([
  ["1m", MINUTE],
  ["5m", 5 * MINUTE],
  ["15m", 15 * MINUTE],
  ["30m", 30 * MINUTE],
  ["1h", 60 * MINUTE],
  ["4h", 240 * MINUTE],
  ["1d", DAY],
  ["1w", 7 * DAY],
]);

/** The nine intervals, shortest first. */
export const INTERVALS = [...LENGTHS.keys(), "1M"];

/** The start of the bucket that holds the moment `ms`. */
export function floor(interval, ms) {
  if (interval === "1M") {
    const day = new Date(ms);
    return Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), 1);
  }
  const origin = interval === "1w" ? FIRST_MONDAY : 0;
  const length = LENGTHS.get(interval);
  return origin + Math.floor((ms - origin) / length) * length;
}

/** The start of the bucket after the one that starts at `start`. */
export function next(interval, start) {
  if (interval !== "1M") return start + LENGTHS.get(interval);
  const day = new Date(start);
  return Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + 1, 1);
}
