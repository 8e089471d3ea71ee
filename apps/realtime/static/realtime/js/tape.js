// The trade tape: newest on top, and it stays where it is while someone reads further down.

import { arrange, byId, el, flash, text } from "./dom.js";
import { clock, cut, since, stamp } from "./format.js";
import { link, now, selected } from "./state.js";
import { BUSTED, CORRECTED, Trades } from "./trades.js";

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

/** A snapshot of the tape follows. */
export function begin() {
  trades.begin();
}

/** Takes the data of a trade.executed message. */
export function take(trade, kind) {
  known = true;
  if (kind === "snapshot") trades.addNext(trade);
  else trades.add(trade);
}

/** A trade was withdrawn and stays, struck through; or its new figures stand in its place, marked. */
export function change(trade, mark) {
  trades.change(trade, mark);
}

/** The newest trade that stands; null where none is known. */
export const newest = () => trades.newest;

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
  if (live) for (const trade of shown) if (fresh.has(trade.id)) flash(rows.get(trade.id).row, trade.isBuyerMaker ? -1 : 1);
}

function rowOf(trade, market) {
  const held = rows.get(trade.id);
  if (held?.trade === trade) return held.row;
  const row = el("tr", { "data-id": trade.id, "data-mark": trade.mark, title: story(trade) }, ...cells(trade, market));
  rows.set(trade.id, { trade, row });
  return row;
}

function cells(trade, market) {
  const arrow = el("span", { class: "arrow", "aria-hidden": "true" }, trade.isBuyerMaker ? "▼" : "▲");
  const side = trade.isBuyerMaker ? "Sold" : "Bought";
  const title = trade.mark ? null : `${side} at ${trade.price}`;
  return [
    el("td", { class: trade.isBuyerMaker ? "down" : "up", title }, arrow, el("span", { class: "figure" }, cut(trade.price, market.pricePlaces ?? 8))),
    el("td", { title: trade.mark ? null : trade.quantity }, el("span", { class: "figure" }, cut(trade.quantity, market.quantityPlaces ?? 8))),
    el("td", { title: trade.mark ? null : stamp(trade.time) }, trade.mark ?? clock(trade.time)),
  ];
}

/** What became of a trade that is not what it was; null for any other. */
function story(trade) {
  const when = stamp(trade.time);
  if (trade.mark === BUSTED) return `The trade of ${when} was withdrawn on ${stamp(trade.bustedAt)}: it never happened.`;
  if (trade.mark === CORRECTED) return `The trade of ${when} was corrected on ${stamp(trade.correctedAt)}: it was ${trade.previousQuantity} at ${trade.previousPrice}.`;
  return null;
}

/** "last 12 s ago", ticking. */
export function drawAge() {
  const last = trades.newest;
  text(byId("tape-age"), last ? `last ${since(last.time, now())}` : "");
}
