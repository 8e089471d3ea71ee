// What one bar says, over the chart: the one under the cursor, else the newest.

import { byId, el, text, tone } from "./dom.js";
import { compact, cut, percent, percentOf, sign, subtract } from "./format.js";
import { revisions } from "./wording.js";

const node = byId("legend");
const revision = byId("revision"); // a line of its own, so that the buttons above it stay where they are

export function clear() {
  node.replaceChildren();
  text(revision, "");
}

/** Shows `bar` with the decimals of its market. */
export function draw(bar, { pricePlaces = 8, quantityPlaces } = {}) {
  const price = (value) => cut(value, pricePlaces);
  const change = percentOf(subtract(bar.close, bar.open), bar.open) ?? "0.00";
  const named = [
    ["O", price(bar.open)],
    ["H", price(bar.high)],
    ["L", price(bar.low)],
    ["C", price(bar.close)],
    ["", percent(change)],
  ].map(([name, value]) => entry(name, value, sign(change)));
  node.replaceChildren(...named, entry("Vol", compact(bar.volume, quantityPlaces), 0));
  text(revision, bar.revision ? revisions(bar.revision) : "");
}

function entry(name, value, direction) {
  const shown = el("b", {}, ...(name ? [el("span", {}, name)] : []), value);
  tone(shown, direction);
  return shown;
}
