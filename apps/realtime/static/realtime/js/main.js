// Wires the page: markets by request, everything that moves by one socket.

import * as account from "./account.js";
import * as api from "./api.js";
import * as chart from "./chart.js";
import * as connection from "./connection.js";
import * as depth from "./depthchart.js";
import { byId, el, text } from "./dom.js";
import * as download from "./download.js";
import * as foot from "./foot.js";
import { countdown, stamp } from "./format.js";
import { soon } from "./frame.js";
import * as history from "./history.js";
import { INTERVALS, floor, next } from "./intervals.js";
import * as keys from "./keys.js";
import * as ladder from "./ladder.js";
import * as lines from "./lines.js";
import * as list from "./list.js";
import * as mine from "./mine.js";
import * as own from "./own.js";
import * as pages from "./pages.js";
import { recall, remember } from "./remembered.js";
import * as session from "./session.js";
import * as signin from "./signin.js";
import { Socket } from "./socket.js";
import * as state from "./state.js";
import * as strip from "./strip.js";
import * as tape from "./tape.js";
import * as theme from "./theme.js";
import * as ticket from "./ticket.js";
import { BUSTED, amended } from "./trades.js";
import * as views from "./views.js";

const { link, selection } = state;
const RETRY_MS = 5_000;
const CATCH_UP_MS = 50;
const FAULT_MS = 10_000; // so long a refusal is read
const SNAPSHOT_MS = 500; // within this time a subscription's first frames have come

const socket = new Socket({
  url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`,
  onState: changeLink,
  onMessage: take,
  onGap: catchUp,
  onBegin: begin,
  token: session.token,
  onTokenRefused: session.drop,
  onError: (data) => foot.tell(data.message ?? data.error ?? "", FAULT_MS),
});

/** A channel's snapshot follows; after a while it has come, however little was in it. */
function begin(channel) {
  own.begin(channel);
  if (channel === `trades:${selection.symbol}`) tape.begin();
  setTimeout(() => {
    own.settle(channel);
    if (channel === `trades:${selection.symbol}`) settleTape();
  }, SNAPSHOT_MS);
}

function changeLink(update) {
  connection.show(update);
  if (update.state === "out") signin.show();
  if (["waiting", "refused", "out"].includes(update.state)) setDown(true);
  soon(tape.draw);
  soon(drawBook);
}

function setDown(down) {
  link.down = down;
  if (down) link.since ??= Date.now();
  document.body.dataset.link = down ? "down" : "up";
  drawFoot();
}

function take(message) {
  state.hearClock(message.timestamp);
  if (pages.take(message)) return;
  const taker = OWN_TAKERS[message.channel] ?? TAKERS[message.type];
  if (taker) for (const data of [message.data].flat()) taker(data, message);
}

const TAKERS = {
  price_update: takeTicker,
  "ticker.updated": takeTicker,
  "candle.updated": history.take,
  "candle.closed": history.take,
  "candle.revised": history.take,
  "trade.executed": takeTrade,
  "trade.busted": takeBust,
  "book.updated": takeBook,
};

const OWN_TAKERS = { "orders@me": takeOrder, "trades@me": takeFill, "balances@me": own.takeBalance };

function takeFill(fill, { type }) {
  if (type === "trade.busted") own.changeFill(...amended(fill));
  else own.takeFill(fill);
}

function takeBook(data) {
  if (data.symbol !== selection.symbol) return;
  ladder.take(data);
  soon(drawBook);
}

function drawBook() {
  ladder.draw();
  ticket.draw();
  if (byId("chart").dataset.shows === "depth") depth.draw(ladder.current());
}

function takeOrder(order, { kind }) {
  own.takeOrder(order);
  if (kind !== "snapshot") mine.tell(order);
}

function takeTicker(data) {
  const isNew = !state.markets.has(data.symbol);
  if (!state.takeTicker(data)) return;
  if (isNew) loadMarkets();
  soon(list.draw);
  if (data.symbol === selection.symbol) soon(strip.draw);
}

function takeTrade(data, { kind }) {
  if (data.symbol !== selection.symbol) return;
  state.takeTrade(data);
  tape.take(data, kind);
  drawTrades();
}

/** A trade was taken back or corrected: bars and prices that it is part of follow. */
function takeBust(data) {
  if (data.symbol !== selection.symbol) return;
  const [trade, mark] = amended(data);
  tape.change(trade, mark);
  if (mark === BUSTED) state.withdrawTrade(trade, tape.newest());
  else state.correctTrade(trade);
  history.recheck(trade.time);
  drawTrades();
}

function drawTrades() {
  soon(tape.draw);
  soon(list.drawSelected);
  soon(strip.draw);
}

function settleTape() {
  tape.settle();
  soon(tape.draw);
}

let catching = null;

/** After a break: asks for what was missed, and only then shows the values as fresh. */
function catchUp() {
  clearTimeout(catching); // one break is told once per channel
  catching = setTimeout(fetchMissed, CATCH_UP_MS);
}

async function fetchMissed() {
  try {
    await Promise.all([selection.symbol && history.refresh(), loadMarkets(), pages.refresh()]);
    lines.expire();
    if (link.state === "live") setDown(false);
  } catch {
    catching = setTimeout(() => link.state === "live" && fetchMissed(), RETRY_MS);
  }
}

async function loadMarkets() {
  try {
    const [info, day] = await Promise.all([api.exchangeInfo(), api.dayTickers()]);
    state.takeMarkets(info);
    state.takeDayTickers(day);
    list.markReady();
  } catch (error) {
    list.fail(error.message, loadMarkets);
    setTimeout(() => state.markets.size || loadMarkets(), RETRY_MS);
    return;
  }
  if (!state.selected()) choose(firstChoice());
  list.draw();
  strip.draw();
  tape.draw();
  drawBook();
}

function firstChoice() {
  const named = location.hash.slice(1).split("/")[0].toUpperCase();
  const remembered = recall("market");
  return [named, remembered, busiest()?.symbol, state.markets.keys().next().value].find((symbol) => state.markets.has(symbol));
}

/** The market with the most trades of the day among those that trade. */
function busiest() {
  const trading = [...state.markets.values()].filter(state.isTrading);
  return trading.sort((left, right) => right.ticker.tradeCount - left.ticker.tradeCount)[0];
}

function choose(symbol) {
  if (!symbol) return chart.explain("No market is open here yet. Markets are added in the admin.");
  if (symbol === selection.symbol) return;
  follow(() => (selection.symbol = symbol));
  remember("market", symbol);
  tape.reset();
  ladder.reset();
  ticket.reset();
  mine.moved();
  list.draw();
  strip.draw();
  drawBook();
}

/** A market that somebody picked: on a phone its chart comes to the front. */
function pick(symbol) {
  choose(symbol);
  views.show("chart");
}

function chooseInterval(interval) {
  if (interval === selection.interval) return;
  follow(() => (selection.interval = interval));
  remember("interval", interval);
}

/** Moves the subscriptions from what was selected to what `change` selects. */
function follow(change) {
  const before = channels();
  change();
  const after = channels();
  for (const channel of before) if (!after.includes(channel)) socket.unsubscribe(channel);
  for (const channel of after) socket.subscribe(channel);
  pages.place();
  drawIntervals();
  drawClock();
  history.open();
}

function channels() {
  const { symbol, interval } = selection;
  return symbol ? [`trades:${symbol}`, `book:${symbol}`, `candles:${symbol}:${interval}`] : [];
}

function drawIntervals() {
  for (const button of byId("intervals").children) button.ariaPressed = String(button.dataset.interval === selection.interval);
}

function drawClock() {
  const start = floor(selection.interval, state.now());
  const left = next(selection.interval, start) - state.now();
  byId("closes").textContent = state.isTrading(state.selected()) ? `closes in ${countdown(left)}` : "";
}

function drawFoot() {
  const words = link.down && link.since ? `Not live: values as of ${stamp(link.since)}` : "Times are UTC";
  foot.stand(words);
  text(byId("chains-foot"), words);
}

function everySecond() {
  connection.draw();
  tape.drawAge();
  mine.tick();
  history.tick();
  pages.tick();
  drawClock();
}

function readHash() {
  const [symbol, interval] = location.hash.slice(1).split("/");
  if (INTERVALS.includes(interval)) chooseInterval(interval);
  if (state.markets.has(symbol?.toUpperCase())) choose(symbol.toUpperCase());
}

function startIntervals() {
  const wanted = location.hash.split("/")[1] ?? recall("interval");
  if (INTERVALS.includes(wanted)) selection.interval = wanted;
  for (const interval of INTERVALS) {
    const button = el("button", { type: "button", "data-interval": interval }, interval);
    button.addEventListener("click", () => chooseInterval(interval));
    byId("intervals").append(button);
  }
  drawIntervals();
}

/** Candles or depth in the middle. */
function showPicture(shows) {
  byId("chart").dataset.shows = shows;
  for (const button of byId("chart-switch").children) button.ariaPressed = String(button.dataset.shows === shows);
  remember("picture", shows);
  drawBook();
}

function startPictures() {
  for (const button of byId("chart-switch").children) button.addEventListener("click", () => showPicture(button.dataset.shows));
  if (recall("picture") === "depth") showPicture("depth");
}

/** What is the reader's own follows who reads. */
function followReader() {
  const exists = session.exists();
  signin.follow(exists);
  ticket.follow(exists);
  mine.follow(exists);
  if (exists) loadFees();
}

async function loadFees() {
  try {
    own.takeAccount(await account.account());
  } catch (error) {
    if (!(error instanceof account.SignedOut)) setTimeout(() => session.exists() && loadFees(), RETRY_MS);
  }
}

function signedIn() {
  followReader();
  if (link.state === "live") socket.identify();
  else socket.reopen();
}

/** The session ended by itself: what was the reader's is shown no longer. */
function sessionEnded() {
  own.forget();
  mine.forget();
  followReader();
  socket.reopen();
}

theme.start(() => {
  chart.restyle();
  pages.restyle();
});
chart.start(history.older);
download.start();
list.start(pick);
views.start();
pages.start(socket, views.draw);
keys.start(signin.show);
connection.start(() => (link.state === "out" ? signin.show() : socket.retry()));
session.start((token) => socket.prolong(token), sessionEnded);
signin.start({ signedIn, signedOut: () => location.reload() });
ladder.start(
  (price) => {
    ticket.fillPrice(price);
    views.show("trade");
  },
  () => soon(drawBook),
);
depth.start(() => soon(drawBook));
ticket.start(() => soon(ticket.draw));
mine.start();
own.onChange(drawBook);
startIntervals();
startPictures();
drawFoot();
socket.subscribe("prices");
for (const channel of own.CHANNELS) socket.subscribe(channel);
followReader();
socket.open();
loadMarkets();
setInterval(everySecond, 1000);
setInterval(lines.refresh, 60_000);
addEventListener("hashchange", readHash);
