// A day of closes as a line 64 × 24. Only here do prices become numbers: a pixel needs no more.

import { svg } from "./dom.js";

const WIDTH = 64;
const HEIGHT = 24;
const PAD = 2;

/** The path through `closes` (strings), left to right; empty below two points. */
export function path(closes) {
  if (closes.length < 2) return "";
  const values = closes.map(Number);
  const low = Math.min(...values);
  const range = Math.max(...values) - low;
  const step = WIDTH / (values.length - 1);
  const height = (value) => (range ? HEIGHT - PAD - ((value - low) / range) * (HEIGHT - 2 * PAD) : HEIGHT / 2);
  return values.map((value, at) => `${at ? "L" : "M"}${(at * step).toFixed(1)} ${height(value).toFixed(1)}`).join("");
}

export function sparkline() {
  const line = svg("path");
  const picture = svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" }, line);
  return { picture, draw: (closes) => line.setAttribute("d", path(closes)) };
}
