// The book as an area: how much stands up to each price, bids to the left, asks to the right.
// Only here do amounts become numbers: a pixel needs no more.

import { best, summed } from "./book.js";
import { byId, el, svg, text } from "./dom.js";
import { compact, cut, placesOf } from "./format.js";
import { selected } from "./state.js";

const TOP = 24;
const BOTTOM = 24;
const picture = byId("depth-picture");
const note = byId("depth-note");
const tip = byId("depth-tip");
const parts = {
  bids: { area: svg("path", { class: "depth-area up" }), line: svg("path", { class: "depth-line up" }) },
  asks: { area: svg("path", { class: "depth-area down" }), line: svg("path", { class: "depth-line down" }) },
};
const middle = svg("line", { class: "depth-middle" });
const cursor = svg("line", { class: "depth-cursor" });
const prices = [0, 1, 2, 3, 4].map(() => svg("text", { class: "depth-label", "text-anchor": "middle" }));
const amounts = [0, 1].map(() => svg("text", { class: "depth-label", "text-anchor": "end" }));
let scale = null;
let pointer = null;

/** Wires the picture; `changed()` when it has another size. */
export function start(changed) {
  picture.append(parts.bids.area, parts.asks.area, parts.bids.line, parts.asks.line, middle, cursor, ...prices, ...amounts);
  new ResizeObserver(changed).observe(picture);
  picture.addEventListener("pointermove", (event) => {
    pointer = event.offsetX;
    changed();
  });
  picture.addEventListener("pointerleave", () => {
    pointer = null;
    changed();
  });
}

/** Points of one side, best first: [{price, total}] as numbers beside their digits. */
const pointsOf = (levels) => summed(levels).map(({ price, total }) => ({ at: Number(price), high: Number(total), price, total }));

export function draw(book) {
  const market = selected();
  const [width, height] = [picture.clientWidth, picture.clientHeight];
  if (!market || !width) return;
  const sides = { bids: pointsOf(book?.bids ?? []), asks: pointsOf(book?.asks ?? []) };
  const empty = !sides.bids.length && !sides.asks.length;
  note.hidden = !empty;
  picture.classList.toggle("bare", empty);
  text(note, book ? "Nobody has an order here, so there is no depth to draw." : "Waiting for the book.");
  if (empty) return;
  scale = scaleOf(sides, width, height);
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (const side of ["bids", "asks"]) drawSide(side, sides[side]);
  drawLabels(market);
  drawTip(market, sides);
  describe(market, book);
}

const MOST = 0.9; // of a side's levels are seen: one far away would press the others together

/** Both sides equally wide. */
function scaleOf({ bids, asks }, width, height) {
  const [bid, ask] = [bids[0]?.at ?? asks[0].at, asks[0]?.at ?? bids[0].at];
  const mid = (bid + ask) / 2;
  const reach = (points) => Math.abs((points[Math.floor(MOST * (points.length - 1))]?.at ?? mid) - mid);
  const half = Math.max(reach(bids), reach(asks), mid * 0.0005) * 1.1;
  const seen = [...bids, ...asks].filter(({ at }) => Math.abs(at - mid) <= half);
  const high = Math.max(...seen.map((point) => point.high)) * 1.08;
  const floor = height - BOTTOM;
  return { mid, half, high, width, height, floor, x: (price) => ((price - mid + half) / (2 * half)) * width, y: (total) => floor - (total / high) * (floor - TOP) };
}

/** A staircase: between two levels stands what the nearer one adds up to. */
function drawSide(side, points) {
  const { x, y, floor, width } = scale;
  if (!points.length) {
    parts[side].area.setAttribute("d", "");
    parts[side].line.setAttribute("d", "");
    return;
  }
  const steps = points.map(({ at, high }) => `H${x(at).toFixed(1)}V${y(high).toFixed(1)}`).join("");
  const end = side === "bids" ? 0 : width;
  const line = `M${x(points[0].at).toFixed(1)} ${floor}${steps}H${end}`;
  parts[side].line.setAttribute("d", line);
  parts[side].area.setAttribute("d", `${line}V${floor}Z`);
}

function drawLabels(market) {
  const { mid, half, high, width, height, floor, y } = scale;
  place(middle, { x1: width / 2, x2: width / 2, y1: TOP, y2: floor });
  for (const [at, label] of prices.entries()) {
    const price = mid - half + (2 * half * (at + 0.5)) / prices.length;
    place(label, { x: (width * (at + 0.5)) / prices.length, y: height - 8 });
    text(label, cut(price.toFixed(market.pricePlaces), market.pricePlaces));
  }
  for (const [at, label] of amounts.entries()) {
    const value = (high * (at + 1)) / 2.2;
    place(label, { x: width - 8, y: y(value) + 4 });
    text(label, `${compact(value.toFixed(Math.min(4, market.quantityPlaces)), market.quantityPlaces)} ${market.base ?? ""}`);
  }
}

const place = (node, values) => {
  for (const [name, value] of Object.entries(values)) node.setAttribute(name, value);
};

function drawTip(market, sides) {
  cursor.classList.toggle("gone", pointer === null);
  tip.hidden = pointer === null;
  if (pointer === null) return;
  const price = scale.mid - scale.half + (pointer / scale.width) * 2 * scale.half;
  const side = price < scale.mid ? "bids" : "asks";
  const reached = sides[side].filter(({ at }) => (side === "bids" ? at >= price : at <= price)).at(-1);
  place(cursor, { x1: pointer, x2: pointer, y1: TOP, y2: scale.floor });
  const words = reached ? `${compact(reached.total, market.quantityPlaces)} ${market.base} ${side === "bids" ? "wanted down" : "offered up"} to ${cut(reached.price, Math.max(market.pricePlaces, placesOf(reached.price)))}` : "nothing here";
  tip.replaceChildren(el("span", { class: side === "bids" ? "up" : "down" }, words));
  tip.classList.toggle("left", pointer > scale.width / 2);
}

function describe(market, book) {
  const { bid, ask } = best(book);
  const words = `Depth of the book. Best bid ${bid ? cut(bid, market.pricePlaces) : "none"}, best ask ${ask ? cut(ask, market.pricePlaces) : "none"}.`;
  if (picture.getAttribute("aria-label") !== words) picture.setAttribute("aria-label", words);
}
