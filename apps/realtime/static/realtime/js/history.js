// Bars of the selected market and interval: history by request, then moved on by messages.

import * as api from "./api.js";
import { Bars, ofKline, ofMessage } from "./bars.js";
import * as chart from "./chart.js";
import { soon } from "./frame.js";
import { isTrading, now, pair, selected, selection } from "./state.js";

const FIRST = 500;
const OLDER = 1000;

let bars = null;
let request = new AbortController();
let early = []; // messages that came before history did
let complete = false;
let loadingOlder = false;

/** Loads what is selected, from nothing. */
export async function open() {
  request.abort();
  request = new AbortController();
  const { signal } = request;
  bars = null;
  early = [];
  complete = false;
  loadingOlder = false;
  chart.wait();
  try {
    const rows = await fetchBars({ limit: FIRST }, signal);
    if (signal.aborted) return;
    bars = new Bars(selection.interval);
    bars.merge(rows, bars.mark());
    complete = rows.length < FIRST;
    for (const bar of early) bars.apply(bar);
    showOrExplain();
  } catch (error) {
    if (!signal.aborted) chart.explain(`Bars could not be loaded. ${error.message}`, open);
  }
}

function showOrExplain() {
  if (bars.size) chart.show(bars);
  else chart.explain(`${pair(selected())} has not traded yet. Its first trade opens the first bar.`);
}

/** Asks again for the newest bars, and takes what was missed; starts over where too much was. */
export async function refresh() {
  const { signal } = request;
  if (!bars?.size) return open();
  const [held, mark] = [bars, bars.mark()];
  const rows = await fetchBars({ limit: FIRST }, signal).catch((error) => {
    if (!signal.aborted) throw error;
    return [];
  });
  if (signal.aborted || held !== bars || !rows.length) return;
  if (rows[0].time > bars.last.time) return open();
  bars.merge(rows, mark);
  soon(chart.draw);
}

/** Takes a candle.* message. */
export function take(data) {
  if (data.symbol !== selection.symbol || data.interval !== selection.interval) return;
  const bar = ofMessage(data);
  if (!bars) return early.push(bar);
  const first = !bars.size;
  if (bars.misses(bar) && !isTrading(selected())) return refresh().catch(() => {});
  if (!bars.apply(bar)) return;
  if (first) chart.show(bars);
  else soon(chart.draw);
}

/** A bucket without trades is a bar too, from its first second. */
export function tick() {
  if (!bars?.size || !isTrading(selected())) return;
  bars.fill(now());
  if (bars.changed.size) soon(chart.draw);
}

/** Loads bars before the oldest one. */
export async function older() {
  if (complete || loadingOlder || !bars?.size) return;
  loadingOlder = true;
  const { signal } = request;
  const held = bars;
  try {
    const rows = await fetchBars({ endTime: held.first.time - 1, limit: OLDER }, signal);
    if (signal.aborted || held !== bars) return;
    complete = rows.length < OLDER;
    if (!rows.length) return;
    held.merge(rows, held.mark());
    soon(chart.draw);
  } catch {
    // The next move of the view asks again.
  } finally {
    if (!signal.aborted) loadingOlder = false;
  }
}

async function fetchBars(query, signal) {
  const { symbol, interval } = selection;
  const rows = await api.klines({ symbol, interval, ...query }, { signal });
  return rows.map(ofKline);
}
