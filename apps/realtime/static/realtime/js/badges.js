// What sets a market apart: where its trades come from, and that it does not trade.

import { el } from "./dom.js";
import { isTrading } from "./state.js";

const STATUSES = new Map([
  ["BREAK", "not trading"],
  ["HALT", "halted"],
  ["POST_ONLY", "post only"],
]);

/** The words, most important first. */
export function words(market) {
  const status = isTrading(market) ? null : STATUSES.get(market.status);
  const untraded = market.ticker && market.ticker.last === null ? "no trades yet" : null;
  return [market.label, status, untraded].filter(Boolean);
}

export function badges(market) {
  return words(market).map((word) => el("span", { class: "badge warn" }, word));
}
