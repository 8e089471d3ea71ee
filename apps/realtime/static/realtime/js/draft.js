// The rules of an order before it is sent: what is missing, what it holds, what it may cost.

import { add, ceilTo, floorTo, isMultiple, partOf, quotient, share, shareInside, times, trim } from "./amounts.js";
import { compare, cut, placesOf, sign } from "./format.js";

/** What each type asks for. */
export const TYPES = {
  LIMIT: { name: "Limit", price: true, force: true },
  MARKET: { name: "Market" },
  LIMIT_MAKER: { name: "Post only", price: true },
  STOP_LOSS_LIMIT: { name: "Stop limit", price: true, stop: true, force: true },
  TAKE_PROFIT_LIMIT: { name: "Take profit limit", price: true, stop: true, force: true },
};

export const FORCES = { GTC: "until cancelled", GTD: "until a time", IOC: "immediate or cancel", FOK: "fill or kill" };

export const UNITS_MS = { s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

const COLLAR_BPS = 500; // what a market order may pay beyond the best price, in hundredths of a percent
const LONGEST_MS = 366 * 86_400_000;
const PLAIN = /^\d{1,40}(\.\d{0,20})?$|^\.\d{1,20}$/;

/** A typed amount as a plain decimal string; null where it is none. */
export function spelled(typed) {
  const text = typed.replace(/[\s_]/g, "");
  if (!PLAIN.test(text)) return null;
  return trim(text.startsWith(".") ? `0${text}` : text.replace(/\.$/, "").replace(/^0+(?=\d)/, ""));
}

const needs = (draft, part) => Boolean(TYPES[draft.type][part]);
const inQuote = (draft) => draft.type === "MARKET" && draft.unit === "quote";
const isGtd = (draft) => needs(draft, "force") && draft.force === "GTD";

/** What is wrong, as [field, sentence] in the order of the form; empty where nothing is. */
export function faults(draft, market, { rates, available, best, now }) {
  const found = [];
  if (needs(draft, "stop")) found.push(["stop", priceFault(draft.stop, market, "trigger price")]);
  if (needs(draft, "price")) found.push(["price", priceFault(draft.price, market, "price")]);
  found.push(["amount", amountFault(draft, market)]);
  if (isGtd(draft)) found.push(draft.span === "date" ? ["until", untilFault(draft, now)] : ["lasts", lastsFault(draft)]);
  const wrong = found.filter(([, sentence]) => sentence);
  if (wrong.length) return wrong;
  const short = balanceFault(cost(draft, market, { rates, best }), available);
  return short ? [["amount", short]] : [];
}

function priceFault(typed, market, what) {
  if (!typed.trim()) return `Enter the ${what}.`;
  const price = spelled(typed);
  if (price === null) return numberFault(typed);
  if (sign(price) === 0) return `The ${what} must be above zero.`;
  if (!isMultiple(price, market.tick)) return `Prices of ${market.symbol} move in steps of ${trim(market.tick)}.`;
  return "";
}

function amountFault(draft, market) {
  if (!draft.amount.trim()) return "Enter the amount.";
  const amount = spelled(draft.amount);
  if (amount === null) return numberFault(draft.amount);
  if (sign(amount) === 0) return "The amount must be above zero.";
  return inQuote(draft) ? quoteFault(amount, market) : baseFault(amount, draft, market);
}

function quoteFault(amount, market) {
  if (placesOf(amount) > market.quoteDecimals) return `${market.quote} has ${market.quoteDecimals} decimals.`;
  return notionalFault(amount, market);
}

function baseFault(amount, draft, market) {
  if (!isMultiple(amount, market.step)) return `Amounts of ${market.base} move in steps of ${trim(market.step)}.`;
  const most = (draft.type === "MARKET" && market.maxMarketQuantity) || market.maxQuantity;
  if (most && compare(amount, most) > 0) return `An order has at most ${trim(most)} ${market.base}.`;
  const price = needs(draft, "price") ? spelled(draft.price) : null;
  return price ? notionalFault(times(price, amount), market) : "";
}

function notionalFault(total, market) {
  if (!market.minNotional || compare(total, market.minNotional) >= 0) return "";
  return `The smallest order is worth ${trim(market.minNotional)} ${market.quote}; this one ${total}.`;
}

function numberFault(typed) {
  if (typed.includes(",")) return "Write a point for decimals and no commas: 1234.5.";
  return "Enter a number in plain digits, such as 12.5.";
}

function lastsFault(draft) {
  const amount = spelled(draft.lasts);
  if (amount === null || !/^\d{1,9}$/.test(amount)) return "Enter how long, as a whole number.";
  if (amount === "0") return "Enter at least 1.";
  return Number(amount) * UNITS_MS[draft.span] > LONGEST_MS ? "Enter at most a year." : "";
}

function untilFault(draft, now) {
  const moment = untilOf(draft);
  if (Number.isNaN(moment)) return "Enter the day and the time, UTC.";
  return moment > now ? "" : "That moment has passed.";
}

const untilOf = (draft) => Date.parse(`${draft.until}Z`);

function balanceFault(costs, available) {
  if (!costs || available === null || costs.about || compare(costs.hold, available) <= 0) return "";
  return `This holds ${costs.hold} ${costs.asset}; ${trim(available)} ${costs.asset} are free.`;
}

/** When a GTD order ends, ms since the epoch. */
export function endsAt(draft, now) {
  if (draft.span === "date") return untilOf(draft);
  return now + Number(draft.lasts) * UNITS_MS[draft.span];
}

/** The parameters of a draft without faults, as /api/v3/order takes them. */
export function parameters(draft, market, now) {
  const found = { symbol: market.symbol, side: draft.side, type: draft.type };
  found[inQuote(draft) ? "quoteOrderQty" : "quantity"] = spelled(draft.amount);
  if (needs(draft, "price")) found.price = spelled(draft.price);
  if (needs(draft, "stop")) found.stopPrice = spelled(draft.stop);
  if (needs(draft, "force")) found.timeInForce = draft.force;
  if (isGtd(draft)) found.goodTillDate = String(endsAt(draft, now));
  return found;
}

/**
 * What an order would hold, of which asset, and the largest fee; null while too little is known.
 * `about` where the hold depends on the price that the order meets, `around` where the total does.
 */
export function cost(draft, market, { rates, best }) {
  const amount = spelled(draft.amount);
  if (!rates || amount === null || sign(amount) === 0) return null;
  const price = priceFor(draft, market, best);
  if (inQuote(draft)) return quoteCost(draft, market, { amount, rates, best });
  if (price === null) return null;
  const total = times(price, amount);
  return draft.side === "BUY" ? buyCost(draft, market, { total, rates }) : sellCost(draft, market, { amount, total, rates, best });
}

/** The price that a draft reckons with: its own, or for a market order the worst or best it may meet. */
function priceFor(draft, market, best) {
  if (!needs(draft, "price")) return draft.side === "BUY" ? collar(market, best?.ask, 1) : (best?.bid ?? null);
  const price = spelled(draft.price);
  return price === null || sign(price) === 0 ? null : price;
}

/** The worst price that a market order takes, `beyond` the best one (1) or below it (−1). */
function collar(market, best, beyond) {
  if (!best) return null;
  const raw = partOf(partOf(best, 10_000 + beyond * (market.collarBps ?? COLLAR_BPS)), 1);
  return beyond > 0 ? floorTo(raw, market.tick) : ceilTo(raw, market.tick);
}

const largest = (rates) => (compare(rates.maker, rates.taker) > 0 ? rates.maker : rates.taker);

/** The dearest rate that an order of this type can be charged. */
const rateOf = (draft, rates) => ({ LIMIT_MAKER: rates.maker, MARKET: rates.taker })[draft.type] ?? largest(rates);

function buyCost(draft, market, { total, rates }) {
  const held = add(total, share(total, largest(rates), market.quoteDecimals));
  const fee = share(total, rateOf(draft, rates), market.quoteDecimals);
  return { total, hold: trim(held), asset: market.quote, fee: trim(fee), about: draft.type === "MARKET", around: draft.type === "MARKET" };
}

// What is sold may meet a better price than its own, which the fee then follows.
function sellCost(draft, market, { amount, total, rates, best }) {
  const meets = draft.type === "LIMIT" && best?.bid ? times(best.bid, amount) : total;
  const dearest = compare(meets, total) > 0 ? meets : total;
  const fee = share(dearest, rateOf(draft, rates), market.quoteDecimals);
  return { total, hold: amount, asset: market.base, fee: trim(fee), about: false, around: draft.type === "MARKET" };
}

function quoteCost(draft, market, { amount, rates, best }) {
  if (draft.side === "BUY") {
    const fee = trim(shareInside(amount, rates.taker, market.quoteDecimals));
    return { total: amount, hold: amount, asset: market.quote, fee, about: false };
  }
  const worst = collar(market, best?.bid, -1);
  if (!worst) return null;
  const fee = trim(share(amount, rates.taker, market.quoteDecimals));
  return { total: amount, hold: quotientUp(amount, times(worst, market.step), market.step), asset: market.base, fee, about: true };
}

/** The amount that `percent` of what is free pays for, as text for the form; empty where unknown. */
export function portion(percent, draft, market, { rates, available, best }) {
  if (available === null) return "";
  const budget = partOf(available, percent);
  if (draft.side === "SELL") return inQuote(draft) ? sellForQuote(budget, market, best) : floorTo(budget, market.step);
  if (inQuote(draft)) return floorTo(budget, finest(market.quoteDecimals));
  const price = priceFor(draft, market, best);
  return price === null || !rates ? "" : affordable(budget, price, market, rates);
}

/** dividend / unit in whole steps, rounded up. */
const quotientUp = (dividend, unit, step) => times(quotient(ceilTo(dividend, unit), unit, "1"), step);

const finest = (places) => (places ? `0.${"1".padStart(places, "0")}` : "1");

function sellForQuote(budget, market, best) {
  return best?.bid ? floorTo(times(budget, best.bid), finest(Math.min(market.quoteDecimals, market.pricePlaces))) : "";
}

/** The most that a buy at `price` can have with its hold within `budget`. */
function affordable(budget, price, market, rates) {
  const rate = largest(rates);
  const most = quotient(budget, add(price, times(price, rate)), market.step);
  const total = times(price, most);
  const held = add(total, share(total, rate, market.quoteDecimals));
  if (compare(held, budget) <= 0) return most;
  return compare(most, market.step) > 0 ? trim(add(most, `-${market.step}`)) : "0"; // the fee's last digit
}

const MOST_PLACES = 8;

/** An amount as it is shown: with at least the places of its kind and at most eight, cut. */
export function shown(value, places) {
  return cut(value, Math.min(Math.max(places, placesOf(value)), Math.max(places, MOST_PLACES)));
}
