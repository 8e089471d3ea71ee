// The trade tape: newest on top, and it stays where it is while someone reads further down.

import { arrange, byId, el, flash, text } from "./dom.js";
import { clock, cut, since, stamp } from "./format.js";
import { link, now, selected } from "./state.js";
import { Trades } from "./trades.js";

const body = byId("tape-body");
const scroll = body.closest(".scroll");
const note = byId("tape-note");
const rows = new Map();
let trades = new Trades();
let known = false;

/** Forgets the former market's trades. */
export function reset() {
  trades = new Trades();
  known = false;
  rows.clear();
  note.hidden = true;
  body.replaceChildren(...skeleton());
}

function skeleton() {
  const cell = () => el("td", {}, el("span", { class: "bone" }));
  return Array.from({ length: 16 }, () => el("tr", { class: "bone-row" }, cell(), cell(), cell()));
}

/** Takes the data of trade.executed messages. */
export function take(list) {
  known = true;
  for (const trade of list) trades.add(trade);
}

/** There is nothing to wait for: an empty tape is one. */
export function settle() {
  known = true;
}

export function draw() {
  const market = selected();
  if (!market) return;
  text(byId("tape-base"), market.base ?? "");
  text(byId("tape-quote"), market.quote ?? "");
  drawAge();
  if (!known && (link.state === "waiting" || link.state === "refused")) return explain("Trades come over the live connection, which is down.");
  if (!known) return;
  const shown = trades.rows;
  note.hidden = shown.length > 0;
  if (!shown.length) {
    return explain("No trade yet. The first one appears here at once.");
  }
  drawRows(market, shown);
}

function explain(sentence) {
  body.replaceChildren();
  note.hidden = false;
  note.replaceChildren(el("p", {}, sentence));
}

function drawRows(market, shown) {
  const fresh = trades.takeFresh();
  const live = rows.size > 0;
  const wanted = shown.map((trade) => rowOf(trade, market));
  const kept = new Set(shown.map((trade) => trade.id));
  for (const id of rows.keys()) if (!kept.has(id)) rows.delete(id);
  const anchor = scroll.scrollTop > 0 ? body.querySelector("tr:not(.bone-row)") : null;
  const before = anchor?.offsetTop;
  arrange(body, wanted);
  if (anchor?.isConnected) scroll.scrollTop += anchor.offsetTop - before;
  if (live) for (const trade of shown) if (fresh.has(trade.id)) flash(rows.get(trade.id), trade.isBuyerMaker ? -1 : 1);
}

function rowOf(trade, market) {
  const held = rows.get(trade.id);
  if (held) return held;
  const side = trade.isBuyerMaker ? "Sold" : "Bought";
  const arrow = el("span", { class: "arrow", "aria-hidden": "true" }, trade.isBuyerMaker ? "▼" : "▲");
  const row = el(
    "tr",
    { "data-id": trade.id },
    el("td", { class: trade.isBuyerMaker ? "down" : "up", title: `${side} at ${trade.price}` }, arrow, cut(trade.price, market.pricePlaces ?? 8)),
    el("td", { title: trade.quantity }, cut(trade.quantity, market.quantityPlaces ?? 8)),
    el("td", { title: stamp(trade.time) }, clock(trade.time)),
  );
  rows.set(trade.id, row);
  return row;
}

/** "last 12 s ago", ticking. */
export function drawAge() {
  const newest = trades.rows[0];
  text(byId("tape-age"), newest ? `last ${since(newest.time, now())}` : "");
}
