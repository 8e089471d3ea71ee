// Lines and bars over time. The library draws numbers; texts beside the picture are the server's digits.

import uPlot from "../vendor/uplot.js";
import { el } from "./dom.js";
import { token } from "./theme.js";

const FONT = "12px system-ui, sans-serif";
const ROOM = 1.12; // of the height, so that the largest value does not touch the edge
const EDGE_PX = 16; // half a label: nearer to the left edge one would be cut
const FEW = 3; // points below which a line would not be seen

/** Fulfilled once the library's style sheet stands. */
export const styled = new Promise((done) => {
  const sheet = el("link", { rel: "stylesheet", href: new URL("../vendor/uplot.css", import.meta.url).pathname });
  sheet.addEventListener("load", done);
  sheet.addEventListener("error", done); // pictures stand without it, only their cursor does not
  document.head.append(sheet);
});

const plots = new Set();

/** Takes the theme's colours in every picture. */
export function restyle() {
  for (const plot of plots) plot.redraw();
}

const ink = (name) => () => token(name);
const twoDigits = (number) => String(number).padStart(2, "0");

/** "14:05" of seconds, UTC. */
export function hourOf(seconds) {
  const moment = new Date(seconds * 1000);
  return `${twoDigits(moment.getUTCHours())}:${twoDigits(moment.getUTCMinutes())}`;
}

/** "250 ms", "1.5 s": how durations stand on an upright axis. */
export const durationTick = (ms) => (ms === 0 ? "0" : ms < 1000 ? `${ms} ms` : `${ms / 1000} s`);

const lineOf = ({ tone }) => ({
  stroke: ink(tone),
  width: 1.5,
  points: { show: ({ data }) => data[0].length < FEW, size: 5, fill: ink(tone) },
});

const barOf = ({ tone }) => ({
  fill: ink(tone),
  stroke: ink(tone),
  width: 0,
  points: { show: false },
  paths: uPlot.paths.bars({ size: [0.72, 48], align: 1, radius: 0.12 }),
});

/**
 * A picture that fills `node`. `series`: [{tone, bars}], each drawn from numbers, null where there is
 * none; `shown(value)` writes the upright axis; `hover(at)` is told which point is under the pointer,
 * null where none is.
 */
export class Plot {
  #node;
  #plot = null;
  #data = null;
  #span = null;
  #options;

  constructor(node, { series, shown, hover = () => {} }) {
    this.#node = node;
    this.#options = { series, shown, hover };
    plots.add(this);
    this.observer = new ResizeObserver(() => this.#fit());
    this.observer.observe(node);
  }

  /** Draws [times in seconds, ...values] from `from` to `to`, seconds. */
  draw(data, { from, to }) {
    this.#data = data;
    this.#span = { from, to };
    if (this.#plot) this.#plot.setData(data);
    else this.#make();
  }

  redraw() {
    this.#plot?.redraw(false);
  }

  #make() {
    const { clientWidth: width, clientHeight: height } = this.#node;
    if (!width || !height || !this.#data) return; // not seen: made once it is
    this.#node.replaceChildren();
    this.#plot = new uPlot({ width, height, ...this.#settings() }, this.#data, this.#node);
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.#node;
    if (!this.#plot) this.#make();
    else if (width && height) this.#plot.setSize({ width, height });
  }

  #settings() {
    const { series, shown, hover } = this.#options;
    return {
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      padding: [6, 0, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { range: () => [this.#span.from, this.#span.to] }, y: { range: (_, __, most) => [0, (most || 1) * ROOM] } },
      axes: [timeAxis(), valueAxis(shown)],
      series: [{}, ...series.map((one) => (one.bars ? barOf(one) : lineOf(one)))],
      hooks: { setCursor: [({ cursor }) => hover(cursor.idx ?? null)] },
    };
  }
}

const timeAxis = () => ({
  stroke: ink("quiet"),
  font: FONT,
  size: 22,
  gap: 4,
  space: 64,
  grid: { show: false },
  ticks: { show: false },
  values: (plot, splits) => splits.map((at) => (plot.valToPos(at, "x") < EDGE_PX ? "" : hourOf(at))),
});

const valueAxis = (shown) => ({
  side: 1,
  stroke: ink("quiet"),
  font: FONT,
  size: 56,
  gap: 6,
  space: 32,
  grid: { stroke: ink("raised"), width: 1 },
  ticks: { show: false },
  values: (_, splits) => splits.map(shown),
});
