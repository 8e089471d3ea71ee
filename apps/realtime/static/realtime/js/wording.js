// Orders and fills in words, the same wherever they are told.

import { trim } from "./amounts.js";
import { el, text } from "./dom.js";
import { clock, compare, cut, stamp } from "./format.js";
import { FORCES, TYPES, shown } from "./draft.js";
import { markets, pair } from "./state.js";

const VERBS = { BUY: "Buy", SELL: "Sell" };
const WHY = {
  user: "cancelled",
  operator: "cancelled by the operator",
  replaced: "replaced",
  time: "its time ran out",
  unfilled: "nothing more to take",
  selfTrade: "met an order of your own",
  wouldTake: "would have taken",
  wouldTrigger: "would have triggered",
  marketClosed: "the market is closed",
  frozen: "the account is frozen",
};
const STATUSES = {
  NEW: "open",
  PARTIALLY_FILLED: "partly filled",
  FILLED: "filled",
  CANCELED: "cancelled",
  REJECTED: "rejected",
  EXPIRED: "expired",
  EXPIRED_IN_MATCH: "expired",
};

export const marketOf = (symbol) => markets.get(symbol) ?? { symbol, base: "", quote: "", pricePlaces: 2, quantityPlaces: 2 };

export const price = (value, symbol) => (value === null || value === undefined ? "–" : shown(trim(value), marketOf(symbol).pricePlaces));
export const quantity = (value, symbol) => shown(trim(value), marketOf(symbol).quantityPlaces);
export const verb = (side) => VERBS[side];
export const typeName = (type) => TYPES[type]?.name ?? "Market";

/** "Buy 0.5 ETH at 2,000.00". */
export function sentence(order) {
  const market = marketOf(order.symbol);
  const byQuote = order.quoteOrderQuantity && compare(order.quoteOrderQuantity, "0") > 0;
  const what = byQuote ? `${cut(trim(order.quoteOrderQuantity), 2)} ${market.quote} of ${market.base}` : `${trim(order.quantity)} ${market.base || pair(market)}`;
  const at = order.type === "MARKET" ? "at market" : `at ${price(order.price, order.symbol)}`;
  return `${verb(order.side)} ${what} ${at}`;
}

/** "expired, its time ran out". */
export function ending(order) {
  const why = WHY[order.reason];
  return [STATUSES[order.status] ?? order.status, why === STATUSES[order.status] ? "" : why].filter(Boolean).join(", ");
}

/** "Limit · immediate or cancel". */
export function kind(order) {
  const force = order.type === "MARKET" || order.type === "LIMIT_MAKER" || order.timeInForce === "GTC" ? "" : FORCES[order.timeInForce];
  return [typeName(order.type), order.timeInForce === "GTD" ? "" : force].filter(Boolean).join(" · ");
}

/** Fills a cell with a side's arrow and word. */
export function drawSide(cell, { side, symbol }) {
  const words = `${side === "BUY" ? "▲" : "▼"} ${verb(side)}`;
  if (cell.dataset.side === side && cell.dataset.symbol === pair(marketOf(symbol))) return false;
  cell.dataset.side = side;
  cell.dataset.symbol = pair(marketOf(symbol));
  cell.replaceChildren(el("b", {}, cell.dataset.symbol), el("span", { class: side === "BUY" ? "up" : "down" }, words));
  return false;
}

/** "18:44:03" of today, the day before that. */
export function drawTime(cell, moment, now) {
  const today = stamp(now).slice(0, 10) === stamp(moment).slice(0, 10);
  text(cell, today ? clock(moment) : stamp(moment).slice(0, 16), stamp(moment));
  return false;
}

/** "revised twice": how often a bar that had closed was changed. */
export function revisions(count) {
  return `revised ${count === 1 ? "once" : count === 2 ? "twice" : `${count} times`}`;
}
