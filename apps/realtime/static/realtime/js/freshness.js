// How old what is shown is, and whether that is too old.

import { text } from "./dom.js";
import { since } from "./format.js";

// The server tells of what did not change every five minutes: what is older is no longer told of.
const SILENT_MS = 390_000;

/** Whether a sample is too old to be taken for the present; where operators have things looked at less often, later. */
export function isStale({ sampledAt, isStale: told, staleAfterMs = 0 }, now) {
  return Boolean(told) || sampledAt === null || now - sampledAt > Math.max(SILENT_MS, staleAfterMs);
}

/** The verdict that may be relied on: of what is stale nobody knows that it is still well. */
export function standing(sample, now) {
  return isStale(sample, now) && sample.verdict !== "unhealthy" ? "unknown" : sample.verdict;
}

/** Says beside values when they were sampled, after `words`; marks `node` where that is too long ago. */
export function drawAge(node, label, sample, now, words = "") {
  const stale = isStale(sample, now);
  if (("stale" in node.dataset) !== stale) {
    if (stale) node.dataset.stale = "";
    else delete node.dataset.stale;
  }
  text(label, `${stale && sample.sampledAt !== null ? "stale: " : ""}${ageOf(sample, now, words)}`);
}

function ageOf({ sampledAt }, now, words) {
  return sampledAt === null ? "never sampled" : `${words}${since(sampledAt, now)}`;
}

/** Whether an answer may replace `held`: messages and answers may overtake each other. */
export const isNewer = (fresh, held) => !held || (fresh.asOf ?? 0) >= (held.asOf ?? 0);

/**
 * Whether a message is news beside `held`. A subscription begins with what was told last: of the same
 * moment the answer stands, which knows for how long nobody has looked.
 */
export const isNews = (pushed, held) => !held || (pushed.asOf ?? 0) > (held.asOf ?? 0);
