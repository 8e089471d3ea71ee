// One corridor of one bridge at one size: its verdict with the reasons, and its last day.

import { corridorOf, errorsOf, named } from "./corridors.js";
import { byId, el, reducedMotion, text } from "./dom.js";
import { count, duration, percentage } from "./figures.js";
import { stamp } from "./format.js";
import { standing } from "./freshness.js";
import { Plot, hourOf } from "./plots.js";
import { columns, span } from "./series.js";
import { now } from "./state.js";
import { drawReasons, drawVerdict } from "./verdicts.js";

const axis = (ms) => (ms === 0 ? "0" : ms < 1000 ? `${ms} ms` : `${ms / 1000} s`);

const node = byId("bridge");
const picture = byId("bridge-plot");
const verdict = byId("bridge-verdict");
const errors = byId("bridge-errors");
let plot = null;
let shown = [];
let times = [];
let hovered = null;

/** Shows a row and its points, oldest first. */
export function draw(row, points) {
  node.hidden = false;
  const title = `${named(row.provider)}: ${corridorOf(row)}, ${count(row.size)}`;
  if (text(byId("bridge-title"), title)) delete verdict.dataset.verdict;
  drawVerdict(verdict, standing(row, now()));
  drawReasons(byId("bridge-reasons"), row.reasons);
  drawErrors(row);
  shown = points;
  const data = columns(points, ({ latencyMs }) => latencyMs.p50, ({ latencyMs }) => latencyMs.p95);
  times = data[0];
  plot ??= new Plot(picture, { series: [{ tone: "accent" }, { tone: "fast" }], shown: axis, hover });
  plot.draw(data, span(points, now()));
  describe(row);
}

/** Brings the picture into view, where it is not beside the table. */
export function reveal() {
  node.scrollIntoView({ block: "nearest", behavior: reducedMotion() ? "instant" : "smooth" });
}

function drawErrors(row) {
  const { n, censored, dayP50, dayP95 } = row.latencyMs;
  const lines = [
    ["Success, last hour", percentage(row.successRate)],
    ["Quotes, last hour", n === null ? "0" : count(n)],
    ["Not waited for", censored ? count(censored) : "none"],
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
  hovered = time === null ? null : (shown.find((point) => point.time === time) ?? null);
  tell();
}

const both = ({ latencyMs }) => `p50 ${duration(latencyMs.p50)} · p95 ${duration(latencyMs.p95)}`;

function tell() {
  text(byId("bridge-words"), hovered ? `${hourOf(hovered.time / 1000)}  ${both(hovered)}` : "Time to a quote, last day");
}

function describe(row) {
  tell();
  const since = shown.length ? `since ${stamp(shown[0].time)}, newest ${both(row)}` : "nothing sampled yet";
  picture.ariaLabel = `Time to a quote, ${since}`;
}
