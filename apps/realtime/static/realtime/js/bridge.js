// One corridor of one bridge at one size: its verdict with the reasons, and its last day.

import { corridorOf, errorsOf, named } from "./corridors.js";
import { byId, el, reducedMotion, text } from "./dom.js";
import { count, duration, percentage } from "./figures.js";
import { stamp } from "./format.js";
import { standing } from "./freshness.js";
import { Plot, hourOf } from "./plots.js";
import { columns, span } from "./series.js";
import { now } from "./state.js";
import * as api from "./statsapi.js";
import { drawReasons, drawVerdict } from "./verdicts.js";

const axis = (ms) => (ms === 0 ? "0" : ms < 1000 ? `${ms} ms` : `${ms / 1000} s`);

const DAY_MS = 86_400_000;
const POINTS = 1000; // quotes of the last day that are drawn
const AGAIN_MS = 15_000; // so long a row's quotes are not asked for again

const node = byId("bridge");
const picture = byId("bridge-plot");
const verdict = byId("bridge-verdict");
const errors = byId("bridge-errors");
let plot = null;
let shown = null; // the row
let key = null;
let quotes = [];
let times = [];
let hovered = null;
let askedAt = 0;

/** Shows a row, of which `rowKey` tells it apart; another one's quotes are asked for. */
export function draw(row, rowKey) {
  const isOther = rowKey !== key;
  shown = row;
  key = rowKey;
  node.hidden = false;
  text(byId("bridge-title"), `${named(row.provider)}: ${corridorOf(row)}, ${count(row.size)}`);
  if (isOther) delete verdict.dataset.verdict;
  drawVerdict(verdict, standing(row, now()));
  drawReasons(byId("bridge-reasons"), row.reasons);
  drawErrors(row);
  if (isOther) load();
}

/** Asks for the row's quotes again, where they are not of this moment. */
export function renew() {
  if (now() - askedAt > AGAIN_MS) load();
}

async function load() {
  const [asked, { provider, from, to, size }] = [key, shown];
  askedAt = now();
  const end = Math.floor(askedAt);
  try {
    const answer = await api.bridgeHistory({ provider, corridor: `${from}-${to}`, size, from: end - DAY_MS, to: end, step: "raw", limit: POINTS });
    if (asked === key) drawQuotes(answer.series[0]?.points ?? []);
  } catch {
    if (asked === key) drawQuotes([]); // the row's figures stand without the picture
  }
}

function drawQuotes(points) {
  quotes = points;
  const data = columns(points, ({ latencyMs }) => latencyMs.p50);
  times = data[0];
  plot ??= new Plot(picture, { series: [{ tone: "accent" }], shown: axis, hover });
  plot.draw(data, span(points, now()));
  describe();
}

/** Brings the picture into view, where it is not beside the table. */
export function reveal() {
  node.scrollIntoView({ block: "nearest", behavior: reducedMotion() ? "instant" : "smooth" });
}

function drawErrors(row) {
  const { n, censored, p50, p95, dayP50, dayP95 } = row.latencyMs;
  const lines = [
    ["Success, last hour", percentage(row.successRate)],
    ["Quotes, last hour", n === null ? "0" : count(n)],
    ["Not waited for", censored ? count(censored) : "none"],
    ["p50 · p95, last hour", `${duration(p50)} · ${duration(p95)}`],
    ["p50 · p95, last day", `${duration(dayP50)} · ${duration(dayP95)}`],
    ["Errors", errorsOf(row) || "none"],
  ];
  const words = JSON.stringify(lines);
  if (errors.dataset.shown === words) return;
  errors.dataset.shown = words;
  errors.replaceChildren(...lines.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { class: "value" }, value))));
}

function hover(at) {
  const time = at === null ? null : times[at] * 1000;
  hovered = time === null ? null : (quotes.find((point) => point.time === time) ?? null);
  tell();
}

const quoteOf = ({ latencyMs }) => (latencyMs.p50 === null ? "no quote" : duration(latencyMs.p50));

function tell() {
  const words = quotes.length ? "Time to each quote, last day" : "No quote in the last day";
  text(byId("bridge-words"), hovered ? `${hourOf(hovered.time / 1000)}  ${quoteOf(hovered)}` : words);
}

function describe() {
  tell();
  const since = quotes.length ? `since ${stamp(quotes[0].time)}, newest ${quoteOf(quotes.at(-1))}` : "none in the last day";
  picture.ariaLabel = `Time to each quote, ${since}`;
}
