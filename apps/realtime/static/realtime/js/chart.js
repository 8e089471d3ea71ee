// Candles and volume of the selected market. The library draws numbers; every text beside the
// canvas is the server's own digits.

import { CandlestickSeries, ColorType, HistogramSeries, createChart } from "../vendor/lightweight-charts.js";
import { byId, el, text } from "./dom.js";
import { compact, cut, percent, percentOf, sign, stamp, subtract } from "./format.js";
import { pair, selected, selection } from "./state.js";
import { token } from "./theme.js";

const NEAR_START = 30; // bars left of the view at which older ones are asked for
const MANY = 200; // beyond so many changed bars the series is set anew

const cover = byId("chart-cover");
const skeleton = cover.firstElementChild;
const legend = byId("legend");
const places = () => selected()?.pricePlaces ?? 8;

const chart = createChart(byId("canvas"), {
  autoSize: true,
  layout: { attributionLogo: false, fontSize: 12, fontFamily: getComputedStyle(document.body).fontFamily },
  localization: { locale: "en-GB", timeFormatter: (time) => stamp(time * 1000) },
  rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.12, bottom: 0.24 } },
  timeScale: { borderVisible: false, timeVisible: true, allowBoldLabels: false, rightOffset: 4, barSpacing: 8, minBarSpacing: 1, maxBarSpacing: 40 },
  crosshair: { mode: 0 },
});
const candles = chart.addSeries(CandlestickSeries, { borderVisible: false, priceLineStyle: 3 });
const volume = chart.addSeries(HistogramSeries, {
  priceScaleId: "volume",
  priceFormat: { type: "volume" },
  lastValueVisible: false,
  priceLineVisible: false,
});
volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });

let bars = null;
let drawn = null; // open time of the last drawn bar, s
let hovered = null;
let colors = {};

/** Wires the chart; `older()` is called when the view nears the oldest bar. */
export function start(older) {
  restyle();
  chart.subscribeCrosshairMove(({ time }) => {
    hovered = time === undefined ? null : time * 1000;
    drawLegend();
  });
  chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
    if (range && bars?.size && range.from < NEAR_START) older();
  });
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
  if (bars) {
    bars.replaced = true;
    draw();
  }
}

/** Shows skeleton bars until `show`. */
export function wait() {
  bars = null;
  drawn = null;
  hovered = null;
  legend.replaceChildren();
  candles.setData([]);
  volume.setData([]);
  showCover(skeleton);
}

/** Shows `shown`, from now on redrawn from it. */
export function show(shown) {
  bars = shown;
  bars.replaced = true;
  const precision = places();
  candles.applyOptions({ priceFormat: { type: "price", precision, minMove: 10 ** -precision } });
  draw();
  place();
}

// The newest bars at the right; few bars from the left, in a readable width.
function place() {
  const scale = chart.timeScale();
  const room = Math.floor(scale.width() / 8);
  if (bars.size >= room - 4) return scale.scrollToRealTime();
  scale.setVisibleLogicalRange({ from: -2, to: Math.max(bars.size + 4, Math.min(room, 60)) });
}

/** Says that the market has no bars, or that they cannot be had. */
export function explain(sentence, retry = null) {
  const parts = [el("p", {}, sentence)];
  if (retry) {
    const again = el("button", { class: "plain", type: "button" }, "Try again");
    again.addEventListener("click", retry);
    parts.push(again);
  }
  showCover(el("div", {}, ...parts));
}

function showCover(content) {
  cover.replaceChildren(content);
  cover.hidden = false;
}

export function draw() {
  if (!bars?.size) return;
  cover.hidden = true;
  if (bars.replaced || bars.changed.size > MANY) drawAll();
  else drawChanged();
  bars.changed.clear();
  bars.replaced = false;
  drawLegend();
}

function drawAll() {
  const all = [...bars];
  candles.setData(all.map(candleOf));
  volume.setData(all.map(volumeOf));
  drawn = all.at(-1).time / 1000;
}

function drawChanged() {
  for (const time of [...bars.changed].sort((left, right) => left - right)) {
    const bar = bars.get(time);
    const past = time / 1000 < drawn;
    candles.update(candleOf(bar), past);
    volume.update(volumeOf(bar), past);
    drawn = Math.max(drawn, time / 1000);
  }
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
  const price = (value) => cut(value, places());
  const change = percentOf(subtract(bar.close, bar.open), bar.open) ?? "0.00";
  const shown = { O: price(bar.open), H: price(bar.high), L: price(bar.low), C: price(bar.close), "": percent(change), Vol: compact(bar.volume, selected()?.quantityPlaces) };
  const direction = sign(change);
  const tone = direction > 0 ? "up" : direction < 0 ? "down" : "";
  const entries = Object.entries(shown).map(([name, value]) =>
    el("b", { class: name === "Vol" ? "" : tone }, ...(name ? [el("span", {}, name)] : []), value),
  );
  legend.replaceChildren(...entries);
  describe(bar);
}

function describe(bar) {
  const market = selected();
  if (!market || hovered) return;
  const words = `${pair(market)}, ${selection.interval} candlesticks, ${bars.size} bars. The newest opened at ${stamp(bar.time)} and stands at ${cut(bar.close, places())}.`;
  const canvas = byId("canvas");
  if (canvas.ariaLabel !== words) canvas.ariaLabel = words;
}

/** The line under the chart: since when the values stand, where they do not move. */
export function drawFoot(words) {
  text(byId("asof"), words);
}
