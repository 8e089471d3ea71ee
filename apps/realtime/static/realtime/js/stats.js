// The page of chains: loads what stands by request, and hears what changes by the live connection
// while it is shown.

import * as activity from "./activity.js";
import * as bridges from "./bridges.js";
import * as chains from "./chains.js";
import { soon } from "./frame.js";
import * as overview from "./overview.js";
import * as plots from "./plots.js";

const AGAIN_MS = 120_000; // what moved within its bounds is told by none, and shown by then
const SHARED_MS = 300; // for a quarter of a second an answer may be one that was given before
const COMMON = ["overview", "bridges"];

let socket = null;
let heard = [];
let again = null;
let soonAgain = null;

/** Shows the page, from now on live; `connection` is what it subscribes with. */
export async function open(connection) {
  socket = connection;
  again ??= setInterval(renew, AGAIN_MS);
  chains.prepare();
  hear();
  await plots.styled;
  await renew();
}

// What does not come is said where it would stand; the next time it may come.
const renew = () => refresh().catch(() => {});

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

/** Asks for everything that stands. Throws where some of it does not come. */
export async function refresh() {
  const came = await Promise.all([loadChains(), loadBridges(), loadOverview()]);
  if (!came.every(Boolean)) throw new Error("Not everything came.");
}

/** Whether what `part` shows could be loaded; it says so itself where it could not. */
async function loaded(part, retry) {
  try {
    await part.load();
    return true;
  } catch (error) {
    part.fail(error.message, retry);
    return false;
  } finally {
    soon(part.draw);
  }
}

async function loadChains() {
  if (!(await loaded(chains, loadChains))) return activity.fail();
  hear();
  activity.offer(chains.watched());
  return activity.reload();
}

const loadBridges = () => loaded(bridges, loadBridges);
const loadOverview = () => loaded(overview, loadOverview);

const TAKERS = {
  "stats.chain_performance_updated": (data) => shown(chains, data),
  "stats.bridge_latency_updated": (data) => shown(bridges, data),
  "stats.overview_updated": (data) => shown(overview, data),
  "chain.head": takeHead,
  "activity.updated": (data) => shown(activity, data),
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
  if (chains.takeHead(data)) askAgain(); // it is looked at again: the verdict is worth something again
  soon(chains.tick);
}

/** Once for all heads that come meanwhile. */
function askAgain() {
  clearTimeout(soonAgain);
  soonAgain = setTimeout(loadChains, SHARED_MS);
}

export function restyle() {
  plots.restyle();
}

/** Ages grow by themselves. */
export function tick() {
  for (const part of [chains, bridges, activity, overview]) part.tick();
}
