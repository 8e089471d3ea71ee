// The markets' lines of the last day: loaded for rows that are seen, a few at a time.

import * as api from "./api.js";
import { byId } from "./dom.js";
import * as list from "./list.js";
import { markets } from "./state.js";

const HOURS = 24;
const AT_ONCE = 4;
const FRESH_MS = 300_000;

const waiting = new Set();
const loadedAt = new Map();
let running = 0;

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) want(target.dataset.symbol);
});
new MutationObserver(() => watch()).observe(byId("list-body"), { childList: true });

function watch() {
  for (const row of byId("list-body").querySelectorAll("tr[data-symbol]")) seen.observe(row);
}

/** Loads again what is seen and old. */
export function refresh() {
  seen.disconnect();
  watch();
}

/** Forgets how fresh the lines are. */
export function expire() {
  loadedAt.clear();
  refresh();
}

function want(symbol) {
  if (Date.now() - (loadedAt.get(symbol) ?? 0) < FRESH_MS) return;
  waiting.add(symbol);
  run();
}

function run() {
  for (const symbol of waiting) {
    if (running >= AT_ONCE) return;
    waiting.delete(symbol);
    load(symbol);
  }
}

async function load(symbol) {
  running += 1;
  loadedAt.set(symbol, Date.now());
  try {
    const rows = await api.klines({ symbol, interval: "1h", limit: HOURS });
    const market = markets.get(symbol);
    market.closes = [...rows.slice(0, 1).map((row) => row[1]), ...rows.map((row) => row[4])];
    list.drawLine(market);
  } catch {
    loadedAt.delete(symbol); // the row stands without a line until it is seen again
  } finally {
    running -= 1;
    run();
  }
}
