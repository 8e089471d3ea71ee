// What belongs to the reader: open orders, fills, balances and fees, as the server pushed them.

import { compare } from "./format.js";
import { soon } from "./frame.js";

const KEPT = 200;

/** `ready` tells for each part whether its snapshot has come. */
export const own = {
  orders: new Map(), // open ones, by id
  ended: new Map(), // ended while the page was open, by id
  fills: new Map(),
  balances: new Map(),
  rates: null,
  ready: { orders: false, fills: false, balances: false },
};

const drawers = new Set();

/** Has `draw` run in the frame after each change. */
export const onChange = (draw) => drawers.add(draw);

export function changed() {
  for (const draw of drawers) soon(draw);
}

const PARTS = { "orders@me": "orders", "trades@me": "fills", "balances@me": "balances" };
export const CHANNELS = Object.keys(PARTS);

export const isOpen = (order) => order.status === "NEW" || order.status === "PARTIALLY_FILLED";

/** A snapshot of the channel follows: what it does not name is gone. */
export function begin(channel) {
  const part = PARTS[channel];
  if (part) own[part].clear();
}

/** The snapshot of the channel has come, however little was in it. */
export function settle(channel) {
  const part = PARTS[channel];
  if (!part) return;
  own.ready[part] = true;
  changed();
}

export function forget() {
  for (const part of [...Object.values(PARTS), "ended"]) own[part].clear();
  for (const part of Object.values(PARTS)) own.ready[part] = false;
  own.rates = null;
  changed();
}

/** Takes an order.* message; returns the order as it was known before. */
export function takeOrder(order) {
  const before = own.orders.get(order.orderId);
  if (isOpen(order)) own.orders.set(order.orderId, order);
  else {
    own.orders.delete(order.orderId);
    keep(own.ended, order.orderId, order);
  }
  changed();
  return before;
}

const fillKey = ({ symbol, tradeId, orderId }) => `${symbol} ${tradeId} ${orderId}`;

/** Takes a fill; what is known to have been withdrawn or corrected since is left. */
export function takeFill(fill) {
  const key = fillKey(fill);
  if (!own.fills.get(key)?.mark) keep(own.fills, key, fill);
  changed();
}

/** A fill was withdrawn, or has other figures; one that is not known is not shown either. */
export function changeFill(fill, mark) {
  const held = own.fills.get(fillKey(fill));
  if (!held) return;
  own.fills.set(fillKey(fill), { ...held, ...fill, mark });
  changed();
}

/** Takes a balance.* message, which carries what the account has afterwards. */
export function takeBalance({ asset, balance, held, available }) {
  own.balances.set(asset, { asset, balance, held, available });
  changed();
}

function keep(map, key, value) {
  map.delete(key);
  map.set(key, value);
  if (map.size > KEPT) map.delete(map.keys().next().value);
}

/** Takes the fees out of /api/v3/account. */
export function takeAccount({ commissionRates: { maker, taker } }) {
  own.rates = { maker, taker };
  changed();
}

/** What is free of an asset: "0" where there is none, null while it is not known. */
export function available(asset) {
  return own.balances.get(asset)?.available ?? (own.ready.balances ? "0" : null);
}

/** Open orders, newest first. */
export const openOrders = () => [...own.orders.values()].sort((left, right) => right.createdAt - left.createdAt || right.orderId - left.orderId);

/** Fills, newest first. */
export const fills = () => [...own.fills.values()].sort((left, right) => right.time - left.time || right.tradeId - left.tradeId);

/** Balances, what there is of most first by name where equal; empty ones last. */
export const balances = () =>
  [...own.balances.values()].sort((left, right) => {
    const [one, other] = [compare(left.balance, "0"), compare(right.balance, "0")];
    return other - one || (left.asset < right.asset ? -1 : 1);
  });
