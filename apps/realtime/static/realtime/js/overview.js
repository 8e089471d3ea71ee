// The top bar of the page of chains: how many are well, and the totals over all of them.

import { byId, el, flash, text } from "./dom.js";
import { NONE, count, usd } from "./figures.js";
import { age } from "./format.js";
import { isNewer } from "./freshness.js";
import { now } from "./state.js";
import * as api from "./statsapi.js";
import { drawTally } from "./verdicts.js";

const SILENT_MS = 915_000; // until the server has said after how long the totals are old
const nodes = Object.fromEntries(["chains", "bridges", "active", "volume", "tvl", "said"].map((name) => [name, byId(`overview-${name}`)]));
let overview = null;

/** Asks for the totals. Throws ApiError. */
export async function load() {
  const answer = await api.overview();
  take({ ...answer, asOf: answer.publishedAt });
}

export function fail(message) {
  if (overview) return;
  for (const name of ["chains", "bridges", "active", "volume", "tvl"]) text(nodes[name], NONE);
  text(nodes.said, `Totals could not be loaded. ${message}`);
}

export function take(fresh) {
  if (!isNewer(fresh, overview)) return;
  overview = { staleAfterMs: overview?.staleAfterMs, ...fresh };
}

export function draw() {
  if (!overview) return;
  drawTally(nodes.chains, overview.chains);
  drawTally(nodes.bridges, overview.bridges);
  byId("overview-bridges-simulated").hidden = !overview.simulatedBridges;
  put(nodes.active, count(overview.active24h));
  put(nodes.volume, usd(overview.volume24h), overview.volume24h, overview.simulated);
  put(nodes.tvl, usd(overview.tvl), overview.tvl, overview.simulated);
  tick();
}

function put(node, words, full = "", simulated = false) {
  const marked = simulated && words !== NONE;
  const shown = `${words}${marked}`;
  if (node.dataset.shown === shown) return;
  const changed = node.dataset.shown !== undefined;
  node.dataset.shown = shown;
  node.title = full ?? "";
  node.replaceChildren(words, ...(marked ? [" ", el("span", { class: "badge warn" }, "simulated")] : []));
  if (changed) flash(node);
}

/** Says how old the totals are where that is too long. */
export function tick() {
  if (!overview) return;
  const { asOf } = overview;
  const stale = asOf !== null && (overview.isStale || now() - asOf > (overview.staleAfterMs ?? SILENT_MS));
  text(nodes.said, stale ? `${age(now() - asOf)} old` : "");
}
