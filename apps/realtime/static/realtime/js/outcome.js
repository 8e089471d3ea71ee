// What became of an order that was just placed, in one sentence.

import { add, trim } from "./amounts.js";
import { sign, subtract } from "./format.js";
import { shown } from "./draft.js";

const DONE = { BUY: "Bought", SELL: "Sold" };

/** {words, tone} for the server's answer to an order. */
export function outcome(order, market) {
  const filled = sign(order.executedQty) > 0;
  const words = [filled ? traded(order, market) : "", rest(order, market, filled)].filter(Boolean).join(" ");
  const failed = order.status === "REJECTED" || (order.status.startsWith("EXPIRED") && !filled);
  return { words, tone: failed ? "warn" : filled ? "up" : "" };
}

function traded(order, market) {
  const fee = feeOf(order);
  const paid = `${amount(order.executedQty)} ${market.base} for ${shown(trim(order.cummulativeQuoteQty), 2)} ${market.quote}`;
  return `${DONE[order.side]} ${paid}${fee ? `, fee ${shown(fee, 2)} ${market.quote}` : ""}.`;
}

const feeOf = ({ fills }) => (fills?.length ? trim(fills.map(({ commission }) => commission).reduce(add)) : null);

const amount = (value) => shown(trim(value), 0);

function rest(order, market, filled) {
  const left = amount(subtract(order.origQty, order.executedQty));
  const at = shown(trim(order.price), market.pricePlaces);
  const waits = sign(order.stopPrice ?? "0") > 0 && (order.isWorking ?? order.workingTime > 0) === false;
  switch (order.status) {
    case "FILLED":
      return "";
    case "NEW":
      return waits
        ? `Placed: ${left} ${market.base} at ${at}, waiting for ${shown(trim(order.stopPrice), market.pricePlaces)}.`
        : `Placed: ${left} ${market.base} at ${at} ${order.side === "BUY" ? "wanted" : "offered"}.`;
    case "PARTIALLY_FILLED":
      return `${left} ${market.base} stay open at ${at}.`;
    case "CANCELED":
      return "The order was cancelled.";
    case "REJECTED":
      return "The order was rejected: nothing was placed.";
    default:
      return filled ? "The rest found no match and expired." : "Nothing matched: the order expired.";
  }
}
