// The order book: as many levels as fit around the spread, each with a bar of what stands up to it.

import { best, grouped, spread, steps, summed } from "./book.js";
import { byId, el, text } from "./dom.js";
import { compare, cut, placesOf } from "./format.js";
import { own } from "./own.js";
import { shown } from "./draft.js";
import { isTrading, link, pair, selected } from "./state.js";
import { trim } from "./amounts.js";

const ROW_PX = 20;
const SIDES = ["asks", "bids"];
const frame = byId("ladder");
const note = byId("book-note");
const grouping = byId("book-step");
const bodies = { asks: byId("asks"), bids: byId("bids") };
const rows = { asks: [], bids: [] }; // from the spread outwards
const known = { asks: new Map(), bids: new Map() };
let book = null;
let step = null;
let pick = () => {};

/** Wires the book; `picked(price, side)` is called with the level that somebody chose. */
export function start(picked, changed) {
  pick = picked;
  new ResizeObserver(() => fit() && changed()).observe(frame);
  grouping.addEventListener("change", () => {
    step = grouping.value;
    for (const side of SIDES) known[side].clear();
    changed();
  });
  for (const side of SIDES) {
    bodies[side].addEventListener("click", (event) => choose(event.target.closest("tr")));
    bodies[side].addEventListener("keydown", moveFocus);
  }
  fit();
}

function choose(row) {
  if (row?.dataset.price) pick(row.dataset.price, row.dataset.side);
}

function moveFocus(event) {
  const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!move) return;
  event.preventDefault();
  const buttons = [...frame.querySelectorAll("tr[data-price] button")];
  buttons[buttons.indexOf(document.activeElement) + move]?.focus();
}

/** Makes as many rows as there is room for; whether their number changed. */
function fit() {
  const room = Math.max(3, Math.floor((frame.clientHeight - 28 - 32) / 2 / ROW_PX));
  if (room === rows.asks.length) return false;
  for (const side of SIDES) {
    rows[side] = Array.from({ length: room }, () => newRow(side));
    bodies[side].replaceChildren(...(side === "asks" ? rows[side].toReversed() : rows[side]));
  }
  return true;
}

function newRow(side) {
  const price = el("button", { type: "button", tabindex: "-1" });
  return el("tr", { "data-side": side }, el("td", { class: side === "asks" ? "down" : "up" }, price), el("td"), el("td"));
}

/** Forgets the former market's book. */
export function reset() {
  book = null;
  step = null;
  for (const side of SIDES) known[side].clear();
  for (const row of [...rows.asks, ...rows.bids]) empty(row);
  text(byId("spread"), "");
}

/** Takes a book.updated message; an older one than what is shown is left. */
export function take(data) {
  if (book && data.version < book.version) return;
  book = data;
}

export const current = () => book;

export function draw() {
  const market = selected();
  if (!market) return;
  drawHead(market);
  const none = book && !book.bids.length && !book.asks.length;
  note.hidden = !none && (book !== null || link.state !== "waiting");
  frame.dataset.state = book ? "" : "loading";
  if (!book) return text(note, "The book comes over the live connection, which is down.");
  text(note, isTrading(market) ? "Nobody has an order here. The first one opens the book." : `${pair(market)} does not trade: its book is empty.`);
  drawSpread(market);
  drawSides(market);
}

function drawHead(market) {
  text(byId("book-quote"), market.quote ?? "");
  text(byId("book-base"), market.base ?? "");
  if (!market.tick || grouping.dataset.tick === market.tick) return;
  grouping.dataset.tick = market.tick;
  grouping.replaceChildren(...steps(market.tick).map((value) => el("option", { value }, value)));
  step = null;
}

function drawSpread(market) {
  const between = spread(book);
  const { bid, ask } = best(book);
  const words = between ? `${cut(between.width, market.pricePlaces)} (${between.percent} %)` : bid ? "no asks" : ask ? "no bids" : "–";
  text(byId("spread"), words);
}

function drawSides(market) {
  const shownLevels = Object.fromEntries(SIDES.map((side) => [side, levelsOf(side)]));
  const deepest = SIDES.map((side) => shownLevels[side].at(-1)?.total ?? "0").reduce((one, other) => (compare(one, other) > 0 ? one : other));
  const mine = ownPrices(market);
  for (const side of SIDES) {
    const lit = rows[side].filter((row, at) => drawRow(row, shownLevels[side][at], { market, side, deepest, mine }));
    light(lit);
    known[side] = new Map(shownLevels[side].map(({ price, quantity }) => [price, quantity]));
    for (const [at, row] of rows[side].entries()) row.querySelector("button").tabIndex = at ? -1 : 0;
  }
}

function levelsOf(side) {
  const levels = step && step !== grouping.options[0]?.value ? grouped(book[side], step, side) : book[side];
  return summed(levels.slice(0, rows[side].length));
}

/** Prices at which the reader has an order here. */
const ownPrices = (market) => new Set([...own.orders.values()].filter((order) => order.symbol === market.symbol && order.price).map((order) => trim(order.price)));

/** Draws one level; whether it is news at a price that was known before. */
function drawRow(row, level, { market, side, deepest, mine }) {
  if (!level) return empty(row);
  const [price, quantity, total] = row.children;
  const places = Math.max(market.pricePlaces, placesOf(level.price));
  row.dataset.price = level.price;
  row.toggleAttribute("data-mine", mine.has(trim(level.price)));
  text(price.firstElementChild, cut(level.price, places), row.hasAttribute("data-mine") ? "Your order stands here" : "");
  text(quantity, shown(level.quantity, market.quantityPlaces));
  text(total, shown(level.total, market.quantityPlaces));
  row.style.setProperty("--part", `${(Number(level.total) / Number(deepest)) * 100}%`);
  const held = known[side].get(level.price);
  return known[side].size > 0 && held !== level.quantity;
}

function empty(row) {
  if (!row.dataset.price) return false;
  delete row.dataset.price;
  row.removeAttribute("data-mine");
  row.style.setProperty("--part", "0%");
  for (const cell of [row.children[0].firstElementChild, row.children[1], row.children[2]]) text(cell, "");
  return false;
}

// All at once: starting an animation anew has the browser lay the page out.
function light(lit) {
  for (const row of lit) row.classList.remove("flash");
  if (lit.length) void frame.offsetWidth;
  for (const row of lit) row.classList.add("flash");
}
