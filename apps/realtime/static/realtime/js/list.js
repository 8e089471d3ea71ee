// The list of markets: search, sort, live prices, a day's line.

import { words } from "./badges.js";
import { arrange, byId, el, flash, text, tone } from "./dom.js";
import { compact, cut, percent, sign } from "./format.js";
import { ordered } from "./ordering.js";
import { sparkline } from "./sparkline.js";
import { markets, movement, pair, selected, selection } from "./state.js";

const NONE = "–";
const body = byId("list-body");
const note = byId("list-note");
const search = byId("search");
const scroll = body.closest(".scroll");
const rows = new Map();
const sorting = { by: null, down: false };
let ready = false;

/** Wires search, sorting and keys; `choose(symbol)` when a market is picked. */
export function start(choose) {
  search.addEventListener("input", draw);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") pick(choose);
    if (event.key === "ArrowDown") body.querySelector("tr:not([hidden]) a")?.focus();
  });
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-symbol]");
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    choose(row.dataset.symbol);
  });
  body.addEventListener("keydown", moveFocus);
  for (const button of document.querySelectorAll("#list button[data-sort]")) {
    button.addEventListener("click", () => sortBy(button));
  }
}

function pick(choose) {
  const first = visible()[0];
  if (first) choose(first.symbol);
}

/** Empties the search; whether there was anything to empty. */
export function clearSearch() {
  const had = search.value !== "" || document.activeElement === search;
  search.value = "";
  search.blur();
  draw();
  return had;
}

function moveFocus(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const links = [...body.querySelectorAll("tr:not([hidden]) a")];
  const at = links.indexOf(document.activeElement) + step;
  (links[at] ?? (at < 0 ? search : links.at(-1)))?.focus();
}

function sortBy(button) {
  const same = sorting.by === button.dataset.sort;
  sorting.down = same ? !sorting.down : button.dataset.sort !== "name";
  sorting.by = button.dataset.sort;
  byId("list").dataset.sort = sorting.by;
  for (const other of document.querySelectorAll("#list button[data-sort]")) tellSorting(other);
  draw();
}

// Two buttons share a head, so that the head's own state could not say by which of them.
function tellSorting(button) {
  const chosen = button.dataset.sort === sorting.by;
  button.ariaPressed = String(chosen);
  if (chosen) {
    button.dataset.direction = sorting.down ? "down" : "up";
    button.setAttribute("aria-description", sorting.down ? "descending" : "ascending");
  } else {
    delete button.dataset.direction;
    button.removeAttribute("aria-description");
  }
}

/** Markets have been learnt: from now on, none means none. */
export function markReady() {
  ready = true;
}

function visible() {
  const wanted = search.value.trim().toUpperCase().replace(/[\s/-]/g, "");
  const found = [...markets.values()].filter(
    (market) => market.symbol.includes(wanted) || market.label?.toUpperCase().replace(/\s/g, "").includes(wanted),
  );
  return found.sort(ordered(sorting));
}

/** Draws every market's row, in order. */
export function draw() {
  if (!ready && !markets.size) return;
  const found = visible();
  place(found.map((market) => rowOf(market)));
  for (const market of found) drawRow(market);
  drawNote(found.length);
}

/** Draws the row of the selected market, where it stands: a trade changes no other and moves none. */
export function drawSelected() {
  if (rows.has(selection.symbol)) drawRow(selected());
}

// Markets that appear above what is in view do not move it; those that change places do.
function place(wanted) {
  const top = scroll.scrollTop > 0 ? wanted.find((row) => row.isConnected && row.offsetTop + row.offsetHeight > scroll.scrollTop) : null;
  const fresh = top ? wanted.slice(0, wanted.indexOf(top)).filter((row) => !row.isConnected) : [];
  arrange(body, wanted);
  for (const row of fresh) scroll.scrollTop += row.offsetHeight;
}

function drawNote(count) {
  note.hidden = count > 0;
  if (count) return;
  if (!markets.size) return note.replaceChildren(el("p", {}, "No market is open here yet. Markets are added in the admin."));
  const clear = el("button", { class: "plain", type: "button" }, "Clear the search");
  clear.addEventListener("click", clearSearch);
  note.replaceChildren(el("p", {}, `No market matches “${search.value.trim()}”.`), clear);
}

/** Says what went wrong where the list would stand. */
export function fail(message, retry) {
  if (markets.size) return;
  const again = el("button", { class: "plain", type: "button" }, "Try again");
  again.addEventListener("click", retry);
  body.replaceChildren();
  note.hidden = false;
  note.replaceChildren(el("p", {}, `Markets could not be loaded. ${message}`), again);
}

function rowOf(market) {
  const held = rows.get(market.symbol);
  if (held) return held.row;
  const cells = {
    link: el("a", { href: `#${market.symbol}` }),
    words: el("span"),
    volume: el("span", { class: "turnover" }),
    last: el("span", { class: "last" }),
    change: el("span", { class: "change" }),
    spark: sparkline(),
  };
  const row = el(
    "tr",
    { "data-symbol": market.symbol },
    el("td", {}, cells.link, el("span", { class: "under" }, cells.volume, cells.words)),
    el("td", {}, cells.spark.picture),
    el("td", { class: "right" }, cells.last, cells.change),
  );
  rows.set(market.symbol, { row, cells, price: null });
  return row;
}

function drawRow(market) {
  const held = rows.get(market.symbol);
  const { row, cells } = held;
  const current = market.symbol === selection.symbol;
  if ((row.ariaCurrent === "true") !== current) row.ariaCurrent = String(current);
  text(cells.link, pair(market));
  text(cells.words, words(market).join(" · "), words(market).join(", "));
  drawVolume(cells.volume, market);
  const { last, changePercent } = market.ticker ?? { last: null, changePercent: null };
  text(cells.last, last === null ? NONE : cut(last, market.pricePlaces ?? 8), last ?? "");
  text(cells.change, changePercent === null ? "" : percent(changePercent));
  const direction = changePercent === null ? 0 : sign(changePercent);
  tone(cells.change, direction);
  tone(cells.spark.picture, direction);
  if (held.price !== null && held.price !== last) flash(cells.last.parentElement, movement(market));
  held.price = last;
}

function drawVolume(node, { ticker, quote }) {
  const volume = ticker?.quoteVolume ?? null;
  if (volume === null || !quote) text(node, "");
  else text(node, `${compact(volume, 2)} ${quote}`, `${volume} ${quote} in the last 24 hours`);
}

/** Draws a market's line of the last day. */
export function drawLine(market) {
  rowOf(market);
  rows.get(market.symbol).cells.spark.draw(market.closes);
}
