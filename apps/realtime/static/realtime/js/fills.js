// The reader's fills: those that were pushed, and before them those that the server remembers of
// the selected market.

import * as account from "./account.js";
import { trim } from "./amounts.js";
import { text } from "./dom.js";
import { compare } from "./format.js";
import { shown } from "./draft.js";
import { changed, fills, own, takeFill } from "./own.js";
import { now, selection } from "./state.js";
import { Table } from "./table.js";
import { BUSTED, CORRECTED } from "./trades.js";
import { drawSide, drawTime, marketOf, price, quantity } from "./wording.js";

const LIMIT = 100;
const asked = new Set();
let failure = "";

const STORIES = {
  [BUSTED]: "This trade was withdrawn: amounts and fee were booked back.",
  [CORRECTED]: "This trade was corrected: the difference was booked.",
};

const money = (name, title, value) => ({
  name,
  title,
  right: true,
  order: (left, right) => compare(value(left), value(right)),
  draw: (cell, fill) => text(cell, shown(trim(value(fill)), 2), `${value(fill)} ${marketOf(fill.symbol).quote}`) && false,
});

export const table = new Table({
  caption: "Fills",
  mark: (fill) => fill.mark,
  key: (fill) => `${fill.symbol} ${fill.tradeId} ${fill.orderId}`,
  columns: [
    { name: "what", title: "Market", order: (left, right) => (left.symbol < right.symbol ? -1 : 1), draw: drawSide },
    { name: "price", title: "Price", right: true, order: (left, right) => compare(left.price, right.price), draw: (cell, fill) => text(cell, price(fill.price, fill.symbol)) && false },
    { name: "amount", title: "Amount", right: true, order: (left, right) => compare(left.quantity, right.quantity), draw: (cell, fill) => text(cell, quantity(fill.quantity, fill.symbol)) && false },
    money("total", "Total", (fill) => fill.quoteQuantity),
    money("fee", "Fee", (fill) => fill.fee),
    { name: "role", title: "As", right: true, draw: (cell, fill) => text(cell, fill.mark ?? (fill.isMaker ? "maker" : "taker"), STORIES[fill.mark] ?? "") && false },
    { name: "time", title: "Time", right: true, order: (left, right) => left.time - right.time, draw: (cell, fill) => drawTime(cell, fill.time, now()) },
  ],
});

export const rows = fills;
export const ready = () => asked.has(selection.symbol) || own.fills.size > 0;
export const fault = () => failure;
export const empty = () => "No fills yet. Each part of an order that trades stands here.";

/** Asks once for what came before the page was opened. */
export async function opened() {
  const { symbol } = selection;
  if (!symbol || asked.has(symbol)) return;
  failure = "";
  try {
    for (const row of await account.pastFills(symbol, LIMIT)) takeFill(ofRow(row));
    asked.add(symbol);
  } catch (error) {
    failure = `Fills could not be loaded. ${error.message}`;
  }
  changed();
}

/** A fill out of a row of /api/v3/myTrades. */
export function ofRow(row) {
  return {
    symbol: row.symbol,
    tradeId: row.id,
    orderId: row.orderId,
    side: row.isBuyer ? "BUY" : "SELL",
    isMaker: row.isMaker,
    price: row.price,
    quantity: row.qty,
    quoteQuantity: row.quoteQty,
    fee: row.commission,
    feeAsset: row.commissionAsset,
    time: row.time,
  };
}

/** The fills of another reader are none of this one's. */
export function forget() {
  asked.clear();
  failure = "";
}
