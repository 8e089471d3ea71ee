// The chains that are watched, a card each; those without a provider are named below.

import { Card } from "./card.js";
import { arrange, byId, text } from "./dom.js";
import { isNewer, isNews } from "./freshness.js";
import { clear, say } from "./notes.js";
import { recall, remember } from "./remembered.js";
import { extended } from "./series.js";
import { now } from "./state.js";
import * as api from "./statsapi.js";

const HOURS_MS = 6 * 3_600_000;
const MOST = 400; // samples asked for: one a minute over the hours, fewer hours where they come faster
const AGAIN_MS = 60_000; // so long they are not asked for again: what is new is pushed
const REMEMBERED = "cards";

const body = byId("chains-cards");
const note = byId("chains-note");
const said = byId("chains-said");
const unwatched = byId("chains-unwatched");

/** Chains by their id. */
const chains = new Map();
const cards = new Map();
const points = new Map();
const askedAt = new Map(); // when a chain's points were asked for
const moved = new Set(); // ids of chains whose pictures are drawn with the next frame
let asked = false; // and answered: from then on, none means none

/** Stands skeletons for as many cards as were there the last time. */
export function prepare() {
  const skeleton = body.firstElementChild;
  const wanted = Number(recall(REMEMBERED) ?? 1);
  if (chains.size) return;
  for (let at = body.children.length; at < Math.min(wanted, 12); at += 1) body.append(skeleton.cloneNode(true));
}

export const watched = () => [...chains.values()].filter(isWatched);

const isWatched = (chain) => chain.isEnabled !== false;

/** Asks for all chains, and for the block times of those that are watched. Throws ApiError. */
export async function load() {
  const answer = await api.chains();
  for (const chain of answer.chains) if (isNewer(chain, chains.get(chain.chainId))) put(chain);
  asked = true;
  remember(REMEMBERED, String(Math.max(1, watched().length)));
  draw();
  await Promise.all(watched().map(loadPoints));
}

export function fail(message, retry) {
  if (chains.size) return;
  body.hidden = true;
  say(note, `Chains could not be loaded. ${message}`, retry);
}

function put(chain) {
  const held = chains.get(chain.chainId);
  const fresh = { ...(held && { name: held.name, isEnabled: held.isEnabled, staleAfterMs: held.staleAfterMs }), ...chain };
  chains.set(chain.chainId, { ...fresh, ...headOf(fresh, held) });
}

// Blocks are told one by one, faster than figures: the newer of both. Ages are of when they were told.
function headOf({ head, headAgeMs, asOf }, held) {
  const headTime = head === null || headAgeMs === null ? null : asOf - headAgeMs;
  const newer = held?.headTime && (headTime === null || held.headTime >= headTime);
  return newer ? { head: held.head, headTime: held.headTime } : { head: head ?? null, headTime };
}

/** Takes a chain as it is pushed; what is no news changes nothing. */
export function take(chain) {
  if (!isNews(chain, chains.get(chain.chainId))) return;
  const before = chains.get(chain.chainId)?.verdict;
  put({ isStale: false, ...chain });
  if (before && before !== chain.verdict) text(said, `${chains.get(chain.chainId).name}: ${chain.verdict}`);
  const { blockTimeMs, sampledAt, chainId } = chain;
  if (sampledAt === null) return;
  points.set(chainId, extended(points.get(chainId) ?? [], { time: sampledAt, blockTimeMs }, now() - HOURS_MS));
  moved.add(chainId);
}

/** Takes the newest block; who tells of it has looked at the chain just then. Whether what stood was stale. */
export function takeHead({ chainId, number, timeMs, asOf }) {
  const held = chains.get(chainId);
  if (!held || timeMs < (held.headTime ?? 0)) return false;
  const wasStale = Boolean(held.isStale);
  Object.assign(held, { head: number, headTime: timeMs });
  if (asOf > (held.sampledAt ?? 0)) Object.assign(held, { sampledAt: asOf, isStale: false });
  return wasStale && !held.isStale;
}

async function loadPoints({ chain, chainId }) {
  if (now() - (askedAt.get(chainId) ?? 0) < AGAIN_MS) return;
  askedAt.set(chainId, now());
  try {
    const to = Math.floor(now());
    const answer = await api.chainHistory(chain, { from: to - HOURS_MS, to, limit: MOST, step: "raw" });
    points.set(chainId, answer.points.filter((point) => point.blockTimeMs));
  } catch {
    askedAt.delete(chainId);
    return; // the card stands without its picture; what comes live is drawn
  }
  drawPicture(chainId);
}

export function draw() {
  if (!asked && !chains.size) return;
  const shown = watched();
  body.hidden = false;
  arrange(body, shown.map((chain) => cardOf(chain).node));
  for (const chain of shown) cardOf(chain).draw(chain, now());
  for (const chainId of moved) drawPicture(chainId);
  moved.clear();
  if (!shown.length) drawEmpty();
  else clear(note);
  drawUnwatched([...chains.values()].filter((chain) => !isWatched(chain)));
}

function drawEmpty() {
  body.hidden = true;
  say(note, "No chain is watched yet: give one a provider, as in RPC_URL_ETHEREUM, and start again.");
}

function drawUnwatched(rest) {
  unwatched.hidden = !rest.length;
  const names = rest.map(({ name, chain }) => name ?? chain).join(", ");
  text(unwatched, `Not watched, because no provider is set: ${names}.`);
}

function cardOf({ chainId, chain }) {
  if (!cards.has(chainId)) cards.set(chainId, new Card(chain));
  return cards.get(chainId);
}

function drawPicture(chainId) {
  const chain = chains.get(chainId);
  if (chain && isWatched(chain)) cardOf(chain).drawPoints(points.get(chainId) ?? [], now());
}

/** Ages grow by themselves. */
export function tick() {
  for (const chain of watched()) cards.get(chain.chainId)?.drawAges(now());
}

