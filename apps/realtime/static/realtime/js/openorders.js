// The reader's open orders: what each still waits for, and the way to cancel it.

import * as account from "./account.js";
import { byId, el, text } from "./dom.js";
import { compare, countdown, percentOf, stamp } from "./format.js";
import { own, openOrders } from "./own.js";
import { now } from "./state.js";
import { Table } from "./table.js";
import { drawSide, drawTime, kind, marketOf, price, quantity, sentence } from "./wording.js";

const CONFIRM_MS = 4000;
const cancelling = new Set();
const all = byId("cancel-all");
let say = () => {};
let confirming = null;

const byTime = (left, right) => left.createdAt - right.createdAt;

export const table = new Table({
  caption: "Open orders",
  key: (order) => order.orderId,
  columns: [
    { name: "what", title: "Market", order: (left, right) => (left.symbol < right.symbol ? -1 : 1), draw: drawSide },
    { name: "kind", title: "Type", draw: (cell, order) => text(cell, kind(order)) && false },
    { name: "price", title: "Price", right: true, order: (left, right) => compare(left.price ?? "0", right.price ?? "0"), draw: drawPrice },
    { name: "filled", title: "Filled / amount", short: "Filled", right: true, flash: true, draw: drawFilled },
    { name: "ends", title: "Ends in", right: true, order: (left, right) => (left.expiresAt ?? Infinity) - (right.expiresAt ?? Infinity) || 0, draw: drawEnd },
    { name: "placed", title: "Placed", right: true, order: byTime, draw: (cell, order) => drawTime(cell, order.createdAt, now()) },
    { name: "act", spoken: "Cancel", right: true, draw: drawCancel },
  ],
});

export const rows = openOrders;
export const ready = () => own.ready.orders;
export const empty = () => "No open orders. What you place and what does not fill at once stands here.";

function drawPrice(cell, order) {
  const stop = order.stopPrice && compare(order.stopPrice, "0") > 0 ? `trigger ${price(order.stopPrice, order.symbol)}` : "";
  const words = `${price(order.price, order.symbol)}|${stop}`;
  if (cell.dataset.words === words) return false;
  cell.dataset.words = words;
  cell.replaceChildren(price(order.price, order.symbol), ...(stop ? [el("small", {}, stop)] : []));
  return false;
}

function drawFilled(cell, order) {
  const part = percentOf(order.filledQuantity, order.quantity) ?? "0.00";
  cell.style.setProperty("--part", `${part}%`);
  return text(cell, `${quantity(order.filledQuantity, order.symbol)} / ${quantity(order.quantity, order.symbol)}`, `${part} % filled`);
}

function drawEnd(cell, order) {
  if (!order.expiresAt) return text(cell, "–", "Stays until cancelled") && false;
  const left = order.expiresAt - now();
  return text(cell, left > 0 ? countdown(left) : "now", `Ends ${stamp(order.expiresAt)}`) && false;
}

function drawCancel(cell, order) {
  const button = cell.firstElementChild ?? newButton(cell, order);
  button.setAttribute("aria-label", `Cancel: ${sentence(order)}`);
  button.ariaBusy = String(cancelling.has(order.orderId));
  return false;
}

function newButton(cell, order) {
  const button = el("button", { type: "button", class: "plain small" }, "Cancel");
  button.addEventListener("click", () => cancel(own.orders.get(order.orderId) ?? order));
  cell.append(button);
  return button;
}

/** Wires “Cancel all”; `told(words, tone)` says what came of it. */
export function start(told) {
  say = told;
  all.addEventListener("click", () => (confirming ? cancelAll() : confirm()));
}

async function cancel(order) {
  if (cancelling.has(order.orderId)) return;
  cancelling.add(order.orderId);
  try {
    await account.cancel({ symbol: order.symbol, orderId: order.orderId });
    say(`Cancelled: ${sentence(order)}.`);
  } catch (error) {
    say(explain(error), "down");
  } finally {
    cancelling.delete(order.orderId);
  }
}

const explain = (error) => (error instanceof account.Unknown ? `${error.message} The list shows what is still open.` : error.message);

function confirm() {
  const count = own.orders.size;
  if (!count) return say("There is no open order to cancel.");
  text(all, `Cancel all ${count}?`);
  confirming = setTimeout(relax, CONFIRM_MS);
}

function relax() {
  clearTimeout(confirming);
  confirming = null;
  text(all, "Cancel all");
}

async function cancelAll() {
  relax();
  const symbols = [...new Set(openOrders().map((order) => order.symbol))];
  const outcomes = await Promise.allSettled(symbols.map((symbol) => account.cancelAll(symbol)));
  const failed = outcomes.find(({ status }) => status === "rejected");
  if (failed) return say(explain(failed.reason), "down");
  say(`Cancelled ${outcomes.flatMap(({ value }) => value).length} orders in ${symbols.map((symbol) => marketOf(symbol).symbol).join(", ")}.`);
}
