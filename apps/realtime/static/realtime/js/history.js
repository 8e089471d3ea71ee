// Bars of the selected market and interval: history by request, then moved on by messages.

import * as api from "./api.js";
import { Bars, ofKline, ofMessage } from "./bars.js";
import * as chart from "./chart.js";
import { Early } from "./early.js";
import { soon } from "./frame.js";
import { floor } from "./intervals.js";
import { revisedOf } from "./revised.js";
import { isTrading, now, pair, selected, selection } from "./state.js";

const FIRST = 500;
const OLDER = 1000;
const PAUSE_MS = 1_000; // after a failure, however often the view moves
const RECHECK_MS = 50; // trades are withdrawn many at a time
const RETRY_MS = 5_000;

let bars = null;
let opened = null; // the market whose bars were opened last
let request = new AbortController();
let early = new Early();
let loadingOlder = false;
let failedAt = -Infinity; // by the clock of this page's life, which nobody sets back
let asksAgain = null;
let line = Promise.resolve();

/** The bars that are held; null while they are on their way. */
export const current = () => bars;

/** Loads what is selected, from nothing; bars of the same market stay in view until then. */
export async function open() {
  request.abort();
  request = new AbortController();
  const { signal } = request;
  const keeps = opened === selection.symbol;
  if (!keeps) changedSince = null;
  opened = selection.symbol;
  bars = null;
  early = new Early();
  loadingOlder = false;
  failedAt = -Infinity;
  clearTimeout(asksAgain);
  chart.wait({ keeps, words: `Loading ${selection.interval} bars` });
  try {
    const rows = await fetchBars({ limit: FIRST }, signal);
    if (signal.aborted) return;
    bars = begun(rows);
    if (bars.size) chart.show(bars);
    else chart.explain(`${pair(selected())} has not traded yet. Its first trade opens the first bar.`);
  } catch (error) {
    if (signal.aborted) return;
    early.stop();
    chart.explain(`${selection.interval} bars could not be loaded. ${error.message}`, open);
  }
}

/** History under what messages told while it was on its way. */
function begun(rows) {
  const found = new Bars(selection.interval, revisedOf(selection));
  found.begin(rows, early);
  found.complete = rows.length < FIRST;
  return found;
}

// One after the other, so that no answer undoes one that was asked for later.
function inTurn(job) {
  const done = line.then(job, job);
  line = done.catch(() => {}); // whoever asked hears of it
  return done;
}

/** Asks again for the newest bars, and takes what was missed; starts over where too much was. */
export const refresh = () =>
  inTurn(() => {
    if (!bars?.size) return open();
    return reload({ limit: FIRST }, (rows) => rows[0].time <= bars.last.time);
  });

/**
 * Takes bars that are asked for again. All start over where there are none any more, and where
 * `fits(rows)` fails: there would be a hole.
 */
async function reload(query, fits = () => true) {
  const { signal } = request;
  const [held, mark] = [bars, bars.mark()];
  const rows = await fetchBars(query, signal).catch((error) => {
    if (!signal.aborted) throw error;
    return [];
  });
  if (signal.aborted || held !== bars) return;
  if (!rows.length || !fits(rows)) return open();
  const isAll = rows.length < query.limit; // of the newest: the first one is the market's first
  bars.merge(rows, mark, query.startTime ?? (isAll ? bars.first.time : Infinity));
  soon(chart.draw);
}

let changedSince = null;
let rechecking = null;

/** Asks again for the bars from the one that holds `moment` on: a trade in it is not what it was. */
export function recheck(moment, pauseMs = RECHECK_MS) {
  changedSince = Math.min(changedSince ?? moment, moment);
  clearTimeout(rechecking);
  rechecking = setTimeout(() => inTurn(checkAgain), pauseMs);
}

async function checkAgain() {
  const since = changedSince;
  changedSince = null;
  if (since === null || bars?.size === 0) return;
  if (!bars) return recheck(since, RETRY_MS); // what is on its way may have been read before
  try {
    await reload({ startTime: Math.max(floor(bars.interval, since), bars.first.time), limit: OLDER });
  } catch {
    recheck(since, RETRY_MS);
  }
}

/** Takes a candle.* message. */
export function take(data) {
  if (data.symbol !== selection.symbol || data.interval !== selection.interval) return;
  const bar = ofMessage(data);
  if (!bars) return early.add(bar);
  const first = !bars.size;
  if (!first && bar.time < bars.first.time) return reopenStart();
  if (bars.misses(bar) && !isTrading(selected())) return refresh().catch(() => {});
  if (!bars.apply(bar)) return;
  if (first) chart.show(bars);
  else soon(chart.draw);
}

/** A bar before the first one: what seemed to be the market's first trade is not. */
function reopenStart() {
  if (bars.complete) settle(bars, false);
}

function settle(held, complete) {
  held.complete = complete;
  held.replaced = true;
  soon(chart.draw);
}

/** A bucket without trades is a bar too, from its first second. */
export function tick() {
  if (!bars?.size || !isTrading(selected())) return;
  bars.fill(now());
  if (bars.changed.size) soon(chart.draw);
}

/**
 * Loads bars before the oldest one, until there is none; after a failure the next call tries again,
 * when a pause is over.
 */
export async function older() {
  if (loadingOlder || !bars?.size || bars.complete) return;
  clearTimeout(asksAgain);
  const pause = failedAt + PAUSE_MS - performance.now();
  if (pause > 0) {
    asksAgain = setTimeout(older, pause);
    return;
  }
  loadingOlder = true;
  const { signal } = request;
  chart.hint("Loading older bars");
  try {
    await inTurn(() => prepend(signal));
    if (!signal.aborted) chart.hint("");
  } catch (error) {
    if (signal.aborted) return;
    failedAt = performance.now();
    chart.hint(`Older bars could not be loaded. ${error.message} Moving the chart tries again.`);
  } finally {
    if (!signal.aborted) loadingOlder = false;
  }
}

async function prepend(signal) {
  if (signal.aborted) return;
  const held = bars;
  const mark = held.mark();
  const rows = await fetchBars({ endTime: held.first.time - 1, limit: OLDER }, signal);
  if (signal.aborted || held !== bars) return;
  held.merge(rows, mark);
  settle(held, rows.length < OLDER);
}

async function fetchBars(query, signal) {
  const { symbol, interval } = selection;
  const rows = await api.klines({ symbol, interval, ...query }, { signal });
  return rows.map(ofKline);
}
