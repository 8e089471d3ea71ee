// Orders of the selected market that have ended: what the server remembers, and what ends now.

import * as account from "./account.js";
import { text } from "./dom.js";
import { compare } from "./format.js";
import { changed, isOpen, own } from "./own.js";
import { now, pair, selected, selection } from "./state.js";
import { Table } from "./table.js";
import { drawSide, drawTime, ending, kind, price, quantity } from "./wording.js";

const LIMIT = 100;
const loaded = new Map(); // symbol → orders by id
let failure = "";

export const table = new Table({
  caption: "Order history",
  key: (order) => order.orderId,
  columns: [
    { name: "what", title: "Market", draw: drawSide },
    { name: "kind", title: "Type", draw: (cell, order) => text(cell, kind(order)) && false },
    { name: "price", title: "Price", right: true, order: (left, right) => compare(left.price ?? "0", right.price ?? "0"), draw: (cell, order) => text(cell, order.type === "MARKET" ? "market" : price(order.price, order.symbol)) && false },
    { name: "filled", title: "Filled / amount", short: "Filled", right: true, draw: drawFilled },
    { name: "ending", title: "Ended", draw: (cell, order) => text(cell, ending(order), ending(order)) && false },
    { name: "time", title: "At", right: true, order: (left, right) => left.updatedAt - right.updatedAt, draw: (cell, order) => drawTime(cell, order.updatedAt, now()) },
  ],
});

function drawFilled(cell, order) {
  return text(cell, `${quantity(order.filledQuantity, order.symbol)} / ${quantity(order.quantity, order.symbol)}`) && false;
}

/** Ended orders of the selected market, newest end first. */
export function rows() {
  const found = new Map(loaded.get(selection.symbol));
  for (const order of own.ended.values()) if (order.symbol === selection.symbol) found.set(order.orderId, order);
  for (const id of own.orders.keys()) found.delete(id);
  return [...found.values()].sort((left, right) => right.updatedAt - left.updatedAt || right.orderId - left.orderId);
}

export const ready = () => loaded.has(selection.symbol);
export const fault = () => failure;
export const empty = () => `No order of yours in ${selected() ? pair(selected()) : "this market"} has ended yet.`;

/** Asks once per market for what came before the page was opened. */
export async function opened() {
  const { symbol } = selection;
  if (!symbol || loaded.has(symbol)) return;
  failure = "";
  try {
    const found = (await account.pastOrders(symbol, LIMIT)).map(ofRow).filter((order) => !isOpen(order));
    loaded.set(symbol, new Map(found.map((order) => [order.orderId, order])));
  } catch (error) {
    failure = `Orders could not be loaded. ${error.message}`;
  }
  changed();
}

/** An order out of a row of /api/v3/allOrders. */
export function ofRow(row) {
  return {
    orderId: row.orderId,
    clientOrderId: row.clientOrderId,
    symbol: row.symbol,
    side: row.side,
    type: row.type,
    timeInForce: row.timeInForce,
    status: row.status,
    price: row.price,
    stopPrice: row.stopPrice ?? null,
    quantity: row.origQty,
    quoteOrderQuantity: row.origQuoteOrderQty,
    filledQuantity: row.executedQty,
    filledQuote: row.cummulativeQuoteQty,
    expiresAt: row.goodTillDate ?? null,
    reason: row.reason ?? "",
    createdAt: row.time ?? row.transactTime,
    updatedAt: row.updateTime ?? row.transactTime,
  };
}

export function forget() {
  loaded.clear();
  failure = "";
}
