// The moving averages: a line and a button each. Lines are drawn from numbers; beside the button
// stands the exact value of the bar that the legend tells of.

import { LineSeries } from "../vendor/lightweight-charts.js";
import { Averages, PERIODS } from "./averages.js";
import { byId, el, text } from "./dom.js";
import { recall, remember } from "./remembered.js";
import { token } from "./theme.js";

const TONES = { 7: "fast", 25: "mean", 99: "slow" };
const MANY = 200; // beyond so many changed points a line is set anew
const LONGEST = Math.max(...PERIODS);
const OPTIONS = { lineWidth: 1, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false };

const lines = [];
let averages = new Averages();
let bars = null;

/** Adds the lines to `chart`; `redraw()` after a button was pressed. */
export function start(chart, redraw) {
  const chosen = (recall("averages") ?? PERIODS.join(" ")).split(" ");
  for (const period of PERIODS) {
    const value = el("span", { class: "value" });
    const button = el("button", { type: "button", "data-tone": TONES[period], title: `Moving average of ${period} closes` }, el("span", { class: "word" }, "MA "), `${period} `, value);
    const line = { period, button, value, series: chart.addSeries(LineSeries, OPTIONS), shows: chosen.includes(String(period)), newest: 0 };
    button.addEventListener("click", () => toggle(line, redraw));
    button.ariaPressed = String(line.shows);
    lines.push(line);
    byId("averages").append(button);
  }
}

function toggle(line, redraw) {
  line.shows = !line.shows;
  line.button.ariaPressed = String(line.shows);
  remember("averages", lines.filter(({ shows }) => shows).map(({ period }) => period).join(" "));
  if (bars) drawLine(line);
  redraw();
}

/** Takes the theme's colours. */
export function restyle() {
  for (const { period, series } of lines) series.applyOptions({ color: token(TONES[period]) });
}

export function clear() {
  bars = null;
  averages = new Averages();
  for (const { series, value } of lines) {
    series.setData([]);
    text(value, "");
  }
}

/** Draws every line anew. */
export function drawAll(shown) {
  bars = shown;
  averages = new Averages();
  averages.follow(bars, 0);
  for (const line of lines) drawLine(line);
}

function drawLine(line) {
  const points = [];
  if (line.shows) for (let at = line.period - 1; at < bars.size; at += 1) points.push(point(line.period, at));
  line.series.setData(points);
  line.newest = points.at(-1)?.time ?? 0;
}

/** Draws on after bars from the place `first` to the place `last` changed. */
export function drawChanged(first, last) {
  averages.follow(bars, first);
  const end = Math.min(bars.size, last + LONGEST);
  for (const line of lines) if (line.shows) drawPart(line, Math.max(first, line.period - 1), end);
}

function drawPart(line, start, end) {
  if (end - start > MANY) return drawLine(line);
  for (let at = start; at < end; at += 1) {
    const drawn = point(line.period, at);
    line.series.update(drawn, drawn.time < line.newest);
    line.newest = Math.max(drawn.time, line.newest);
  }
}

const point = (period, at) => ({ time: bars.at(at).time / 1000, value: Number(averages.at(at, period)) });

/** Writes the values at a place beside the buttons; `shown(value)` is how prices are written. */
export function drawValues(place, shown) {
  for (const { period, value, shows } of lines) {
    const mean = shows ? averages.at(place, period) : null;
    text(value, mean === null ? "" : shown(mean));
  }
}
