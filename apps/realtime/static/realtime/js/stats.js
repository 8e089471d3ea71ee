// The page of chains: loads what stands by request, and hears what changes by the live connection
// while it is shown.

import * as activity from "./activity.js";
import * as bridges from "./bridges.js";
import * as chains from "./chains.js";
import { soon } from "./frame.js";
import * as overview from "./overview.js";
import * as plots from "./plots.js";

const AGAIN_MS = 300_000; // pictures of what only moved within its bounds are drawn anew
const ACTIVITY_MS = 10_000; // at most so often are hours asked for, whatever is pushed
const COMMON = ["overview", "bridges"];

let socket = null;
let heard = [];
let again = null;
let counting = null;

/** Shows the page, from now on live; `connection` is what it subscribes with. */
export async function open(connection) {
  socket = connection;
  chains.prepare();
  await plots.styled;
  again ??= setInterval(refresh, AGAIN_MS);
  hear();
  await refresh();
}

/** The page is not seen any more: it stays as it is, and hears nothing. */
export function close() {
  clearInterval(again);
  again = null;
  socket?.unsubscribe(...heard);
  heard = [];
}

function hear() {
  if (again === null) return;
  const ids = chains.watched().map(({ chainId }) => chainId);
  const wanted = [...COMMON, ...ids.flatMap((id) => [`chain:${id}`, `activity:${id}`])];
  const gone = heard.filter((channel) => !wanted.includes(channel));
  if (gone.length) socket.unsubscribe(...gone);
  socket.subscribe(...wanted);
  heard = wanted;
}

/** Asks for everything that stands; each part says for itself what did not come. */
export async function refresh() {
  await Promise.all([loadChains(), loadBridges(), loadOverview()]);
}

async function loadChains() {
  try {
    await chains.load();
    hear();
    activity.offer(chains.watched());
    await activity.reload();
  } catch (error) {
    chains.fail(error.message, loadChains);
    activity.fail();
  }
}

async function loadBridges() {
  try {
    await bridges.load();
  } catch (error) {
    bridges.fail(error.message, loadBridges);
  }
}

async function loadOverview() {
  try {
    await overview.load();
    soon(overview.draw);
  } catch (error) {
    overview.fail(error.message);
  }
}

const TAKERS = {
  "stats.chain_performance_updated": (data) => shown(chains, data),
  "stats.bridge_latency_updated": (data) => shown(bridges, data),
  "stats.overview_updated": (data) => shown(overview, data),
  "chain.head": takeHead,
  "activity.updated": takeActivity,
};

/** Takes a message; whether it was about this page. */
export function take({ type, data }) {
  const taker = TAKERS[type];
  if (!taker) return false;
  for (const one of [data].flat()) taker(one);
  return true;
}

function shown(part, data) {
  part.take(data);
  soon(part.draw);
}

function takeHead(data) {
  chains.takeHead(data);
  soon(chains.tick);
}

function takeActivity(data) {
  if (!activity.concerns(data) || counting) return;
  counting = setTimeout(() => {
    counting = null;
    activity.reload();
  }, ACTIVITY_MS);
}

export function restyle() {
  plots.restyle();
}

/** Ages grow by themselves. */
export function tick() {
  for (const part of [chains, bridges, activity, overview]) part.tick();
}
