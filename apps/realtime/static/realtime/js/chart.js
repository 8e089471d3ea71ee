// Candles and volume of the selected market. The library draws numbers; every text beside the
// canvas is the server's own digits.

import { CandlestickSeries, ColorType, HistogramSeries, createChart, createSeriesMarkers } from "../vendor/lightweight-charts.js";
import * as averages from "./averagelines.js";
import { byId, el, text } from "./dom.js";
import { cut, stamp } from "./format.js";
import * as legend from "./legend.js";
import { marksOf } from "./marks.js";
import { pair, selected } from "./state.js";
import { token } from "./theme.js";
import { revisions } from "./wording.js";

const NEAR_START = 30; // bars left of the view at which older ones are asked for
const MANY = 200; // beyond so many changed bars the series is set anew
const RIGHT = 4; // bars' widths that stay free at the right
const BOTTOM = 0.24; // part of the height that is the volume's
const LARGEST_TOP = 0.3; // part of the height that the legend may take from the bars

const canvas = byId("canvas");
const body = canvas.parentElement;
const cover = byId("chart-cover");
const skeleton = cover.firstElementChild;
const places = () => selected()?.pricePlaces ?? 8;

const chart = createChart(canvas, {
  autoSize: true,
  layout: { attributionLogo: false, fontSize: 12, fontFamily: getComputedStyle(document.body).fontFamily },
  localization: { locale: "en-GB", timeFormatter: (time) => stamp(time * 1000) },
  rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.16, bottom: BOTTOM } },
  timeScale: { borderVisible: false, timeVisible: true, allowBoldLabels: false, rightOffset: RIGHT, barSpacing: 8, minBarSpacing: 1, maxBarSpacing: 40 },
  crosshair: { mode: 0 },
});
const volume = chart.addSeries(HistogramSeries, {
  priceScaleId: "volume",
  priceFormat: { type: "volume" },
  lastValueVisible: false,
  priceLineVisible: false,
});
volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
const candles = chart.addSeries(CandlestickSeries, { borderVisible: false, priceLineStyle: 3 });
const markers = createSeriesMarkers(candles, []);

let bars = null;
let drawn = null; // open time of the last drawn bar, s
let hovered = null;
let free = 0; // up to which bar there is room in the view; 0 once it moves with the newest
let colors = {};

/** Wires the chart; `older()` is called when the view nears the oldest bar. */
export function start(older) {
  averages.start(chart, drawLegend);
  restyle();
  chart.subscribeCrosshairMove(({ time }) => {
    hovered = time === undefined ? null : time * 1000;
    drawLegend();
  });
  new ResizeObserver(clearLegend).observe(canvas);
  const ask = () => nearStart() && older();
  chart.timeScale().subscribeVisibleLogicalRangeChange(ask);
  for (const move of ["wheel", "pointerup"]) canvas.addEventListener(move, ask, { passive: true }); // at the end a move changes no range
}

/** Takes the theme's colours. */
export function restyle() {
  colors = { up: token("up"), down: token("down"), upBar: token("up-bar"), downBar: token("down-bar") };
  const [quiet, raised] = [token("quiet"), token("raised")];
  chart.applyOptions({
    layout: { background: { type: ColorType.Solid, color: token("surface") }, textColor: quiet },
    grid: { vertLines: { color: raised }, horzLines: { color: raised } },
    crosshair: { vertLine: { color: quiet, labelBackgroundColor: raised }, horzLine: { color: quiet, labelBackgroundColor: raised } },
  });
  candles.applyOptions({ upColor: colors.up, downColor: colors.down, wickUpColor: colors.up, wickDownColor: colors.down });
  averages.restyle();
  if (bars) {
    bars.replaced = true;
    draw();
  }
}

function nearStart() {
  const range = bars?.size && !waits() && chart.timeScale().getVisibleLogicalRange();
  return Boolean(range) && range.from < NEAR_START;
}

const waits = () => "waits" in body.dataset;

/**
 * Waits for `show`: the bars that stand stay in view, dimmed, where they are of the same market
 * (`keeps`); else a skeleton stands for them.
 */
export function wait({ keeps, words }) {
  hint(words);
  if (keeps && bars && cover.hidden) body.dataset.waits = "";
  else {
    clear();
    showCover(skeleton);
  }
}

function clear() {
  bars = null;
  drawn = null;
  hovered = null;
  delete body.dataset.waits;
  canvas.ariaLabel = "Candlestick chart";
  canvas.title = "";
  legend.clear();
  averages.clear();
  markers.setMarkers([]);
  candles.setData([]);
  volume.setData([]);
  candles.priceScale().applyOptions({ autoScale: true });
}

/** Shows `shown`, from now on redrawn from it. */
export function show(shown) {
  bars = shown;
  bars.replaced = true;
  delete body.dataset.waits;
  hovered = null;
  hint("");
  const precision = places();
  candles.applyOptions({ priceFormat: { type: "price", precision, minMove: 10 ** -precision } });
  draw();
  clearLegend();
  place();
}

/** Keeps the bars below the legend, whatever lines it takes. */
function clearLegend() {
  if (!canvas.clientHeight || !bars) return;
  const taken = (body.firstElementChild.offsetHeight + 12) / canvas.clientHeight;
  candles.priceScale().applyOptions({ scaleMargins: { top: Math.min(taken, LARGEST_TOP), bottom: BOTTOM } });
}

// The newest bars at the right; few bars from the left, in a readable width.
function place() {
  const scale = chart.timeScale();
  const room = Math.floor(scale.width() / 8);
  const isFew = bars.size < room - RIGHT;
  free = isFew ? Math.max(bars.size + RIGHT, Math.min(room, 60)) : 0;
  scale.applyOptions({ shiftVisibleRangeOnNewBar: !isFew });
  if (!isFew) return scale.scrollToPosition(RIGHT, false);
  scale.setVisibleLogicalRange({ from: -2, to: free });
}

// New bars fill the free room first; only then does the view move along with them.
function follow() {
  if (!free || bars.size + RIGHT < free) return;
  free = 0;
  chart.timeScale().applyOptions({ shiftVisibleRangeOnNewBar: true });
}

/** Says that the market has no bars, or that they cannot be had; no bars stand any more. */
export function explain(sentence, retry = null) {
  const parts = [el("p", {}, sentence)];
  if (retry) {
    const again = el("button", { class: "plain", type: "button" }, "Try again");
    again.addEventListener("click", retry);
    parts.push(again);
  }
  clear();
  hint("");
  showCover(el("div", {}, ...parts));
}

function showCover(content) {
  cover.replaceChildren(content);
  cover.hidden = false;
}

/** A word in the picture's corner about bars that are on their way; "" for none. */
export function hint(words) {
  text(byId("chart-hint"), words);
}

/** The bars whose middle is in view: open times, ms, how many, and their interval; null where there is none. */
export function visible() {
  const range = bars && chart.timeScale().getVisibleLogicalRange();
  if (!range || waits()) return null;
  const [first, last] = [Math.max(0, Math.ceil(range.from)), Math.min(bars.size - 1, Math.floor(range.to))];
  return first > last ? null : { interval: bars.interval, from: bars.at(first).time, to: bars.at(last).time, count: last - first + 1 };
}

export function draw() {
  if (!bars?.size) return;
  cover.hidden = true;
  const newMarks = bars.replaced || [...bars.changed].some((time) => bars.revised.has(time));
  if (bars.replaced || bars.changed.size > MANY) drawAll();
  else if (bars.changed.size) drawChanged([...bars.changed].sort((left, right) => left - right));
  bars.changed.clear();
  bars.replaced = false;
  if (newMarks) markers.setMarkers(marksOf(bars, { first: token("quiet"), revised: token("warn") }));
  drawLegend();
  follow();
}

function drawAll() {
  const all = [...bars];
  candles.setData(all.map(candleOf));
  volume.setData(all.map(volumeOf));
  averages.drawAll(bars);
  drawn = all.at(-1).time / 1000;
}

function drawChanged(times) {
  for (const time of times) {
    const bar = bars.get(time);
    const past = time / 1000 < drawn;
    candles.update(candleOf(bar), past);
    volume.update(volumeOf(bar), past);
    drawn = Math.max(drawn, time / 1000);
  }
  averages.drawChanged(bars.indexOf(times[0]), bars.indexOf(times.at(-1)));
}

const candleOf = (bar) => ({
  time: bar.time / 1000,
  open: Number(bar.open),
  high: Number(bar.high),
  low: Number(bar.low),
  close: Number(bar.close),
});

const volumeOf = (bar) => ({
  time: bar.time / 1000,
  value: Number(bar.volume),
  color: Number(bar.close) < Number(bar.open) ? colors.downBar : colors.upBar,
});

function drawLegend() {
  const bar = bars && (bars.get(hovered) ?? bars.last);
  if (!bar) return;
  legend.draw(bar, selected());
  averages.drawValues(bars.indexOf(bar.time), (value) => cut(value, places()));
  const title = bar.revision && hovered ? revisions(bar.revision) : "";
  if (canvas.title !== title) canvas.title = title;
  describe(bar);
}

function describe(bar) {
  const market = selected();
  if (!market || hovered || waits()) return;
  const words = `${pair(market)}, ${bars.interval} candlesticks, ${bars.size} bars. The newest opened at ${stamp(bar.time)} and stands at ${cut(bar.close, places())}.`;
  if (canvas.ariaLabel !== words) canvas.ariaLabel = words;
}
