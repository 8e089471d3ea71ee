// The selected market's last 24 hours, in the top bar and in the window's title.

import { badges, words } from "./badges.js";
import { byId, el, flash, text, tone } from "./dom.js";
import { compact, cut, percent, sign } from "./format.js";
import { nameMarket } from "./pages.js";
import { movement, pair, selected } from "./state.js";

const NONE = "–";
const nodes = Object.fromEntries(
  ["market", "badges", "last", "change", "high", "low", "volume", "turnover", "trades", "base", "quote"].map((name) => [
    name,
    byId(`strip-${name}`),
  ]),
);
let shown = null;

export function draw() {
  const market = selected();
  if (!market) return;
  drawName(market);
  if (market.ticker) drawTicker(market, market.ticker);
  shown = market.symbol;
}

function drawName(market) {
  text(nodes.market, pair(market));
  text(nodes.base, market.base ?? "");
  text(nodes.quote, market.quote ?? "");
  const wanted = words(market).join("|");
  if (nodes.badges.dataset.words === wanted) return;
  nodes.badges.dataset.words = wanted;
  nodes.badges.replaceChildren(...badges(market));
}

function drawTicker(market, ticker) {
  const places = market.pricePlaces ?? 8;
  const price = (value) => (value === null ? NONE : cut(value, places));
  drawLast(market, price(ticker.last));
  put(nodes.high, price(ticker.high));
  put(nodes.low, price(ticker.low));
  put(nodes.volume, compact(ticker.baseVolume, market.quantityPlaces), ticker.baseVolume);
  put(nodes.turnover, compact(ticker.quoteVolume), ticker.quoteVolume);
  put(nodes.trades, cut(String(ticker.tradeCount), 0));
  const change = ticker.changePercent;
  const moved = put(nodes.change, change === null ? NONE : percent(change), ticker.change ?? "");
  tone(nodes.change, change === null ? 0 : sign(change));
  if (moved && shown === market.symbol) flash(nodes.change);
  nameMarket(ticker.last === null ? `${pair(market)} · MoonX` : `${price(ticker.last)} ${pair(market)} · MoonX`);
}

function drawLast(market, price) {
  const direction = movement(market);
  if (nodes.last.dataset.shown === price && shown === market.symbol) return;
  const flashed = nodes.last.dataset.shown !== price && shown === market.symbol;
  nodes.last.dataset.shown = price;
  const arrow = direction ? (direction > 0 ? "▲" : "▼") : "";
  nodes.last.replaceChildren(price, el("span", { class: "arrow", "aria-hidden": "true" }, arrow));
  tone(nodes.last, direction);
  if (flashed) flash(nodes.last, direction);
}

function put(node, value, title = "") {
  return text(node, value, title);
}
