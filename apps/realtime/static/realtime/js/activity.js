// Active addresses of one chain: the exact figure of 24 hours, and hour by hour, which never add up to it.

import { byId, el, text } from "./dom.js";
import { NONE, count, percentage } from "./figures.js";
import { compare, since } from "./format.js";
import { isNewer } from "./freshness.js";
import { clear, say } from "./notes.js";
import { Plot, hourOf } from "./plots.js";
import { recall, remember } from "./remembered.js";
import { now } from "./state.js";
import * as api from "./statsapi.js";

const HOUR_MS = 3_600_000;
const HOURS_MS = 60_000; // so long hours are not asked for again
const SILENT_MS = 300_000; // whoever answered last did so before: nobody says that it is still so
const REMEMBERED = "activity";
const WHOLE = "1";
const DAY = ["senders", "participants", "transactions", "coverage", "blocks"];

const box = byId("activity");
const note = byId("activity-note");
const switcher = byId("activity-chains");
const picture = byId("activity-plot");
let chains = [];
let chosen = null;
let day = null;
let hours = [];
let askedAt = 0;
let plot = null;
let hovered = null;

/** Offers these chains; the one that was looked at stays. */
export function offer(watched) {
  chains = watched;
  const wanted = chosen?.chain ?? recall(REMEMBERED);
  const next = chains.find(({ chain }) => chain === wanted) ?? chains[0] ?? null;
  drawSwitch(next);
  if (next?.chain === chosen?.chain) return;
  const before = chosen;
  chosen = next;
  if (before) forget();
}

/** The chains did not come, so that none could be chosen; returns that nothing came. */
export function fail() {
  if (!day) say(note, "Addresses are counted by chain, and the chains could not be loaded.");
  return false;
}

function drawSwitch(next) {
  const words = chains.map(({ chain }) => chain).join();
  if (switcher.dataset.shown !== words) {
    switcher.dataset.shown = words;
    switcher.replaceChildren(...chains.map(buttonOf));
  }
  for (const button of switcher.children) button.ariaPressed = String(button.dataset.chain === next?.chain);
}

function buttonOf({ chain, name }) {
  const button = el("button", { type: "button", "data-chain": chain }, name ?? chain);
  button.addEventListener("click", () => choose(chain));
  return button;
}

function choose(chain) {
  if (chain === chosen?.chain) return;
  remember(REMEMBERED, chain);
  chosen = chains.find((one) => one.chain === chain);
  drawSwitch(chosen);
  forget();
  reload();
}

/** Nothing of another chain stands under this one's name. */
function forget() {
  day = null;
  hours = [];
  hovered = null;
  for (const name of DAY) text(byId(`activity-${name}`), NONE, "");
  text(byId("activity-age"), "");
  plot?.draw([[], [], [], []], { from: now() / 1000 - 24 * 3600, to: now() / 1000 });
  picture.ariaLabel = "Active addresses by hour";
  describe();
  clear(note);
  box.dataset.waits = "";
}

/** Asks for the chosen chain's figures; whether they came, which it says where they did not. */
export async function reload() {
  const asked = chosen;
  askedAt = now();
  if (!asked) {
    say(note, "Addresses are counted where a chain is watched.");
    return true;
  }
  try {
    const [total, byHour] = await Promise.all([api.activity(asked.chain), api.hours(asked.chain)]);
    if (asked !== chosen) return true;
    day = total;
    hours = byHour.hours;
    draw();
    return true;
  } catch (error) {
    if (!day) say(note, `Active addresses could not be loaded. ${error.message}`, reload);
    return false;
  }
}

/** Takes the day's figures as they are pushed, once they were loaded; hours are asked for, where they are older than a minute. */
export function take(data) {
  if (!day || data.chainId !== chosen?.chainId || !isNewer(data, day)) return;
  day = { ...day, ...data, updatedAt: data.asOf, isStale: false };
  if (now() - askedAt > HOURS_MS) reload();
}

export function draw() {
  if (!day) return;
  delete box.dataset.waits;
  if (day.senders === null && !hours.some(({ senders }) => senders !== null)) {
    say(note, "No block was scanned yet: the first figures come with the first minute.");
    return;
  }
  clear(note);
  text(byId("activity-senders"), count(day.senders));
  text(byId("activity-participants"), count(day.participants));
  text(byId("activity-transactions"), count(day.transactions));
  text(byId("activity-coverage"), percentage(day.coverage), day.exact ? "Counted exactly over what is covered" : "Estimated");
  text(byId("activity-blocks"), day.firstBlock === null ? NONE : `${count(day.firstBlock)} – ${count(day.lastBlock)}`);
  drawHours();
  tick();
}

function drawHours() {
  if (!hours.length) return;
  const times = hours.map(({ time }) => time / 1000);
  const whole = hours.map((hour) => (isWhole(hour) ? hour.senders : null));
  const part = hours.map((hour) => (isWhole(hour) ? null : hour.senders));
  const participants = hours.map((hour) => hour.participants);
  plot ??= new Plot(picture, { series: [{ tone: "quiet-bar", bars: true }, { tone: "accent", bars: true }, { tone: "accent-bar", bars: true }], shown: (value) => (Number.isInteger(value) ? count(value) : ""), hover });
  const last = hours.at(-1)?.time ?? 0;
  plot.draw([times, participants, whole, part], { from: last / 1000 - 24 * 3600, to: (last + HOUR_MS) / 1000 });
  describe();
}

// The running hour is covered as far as it has gone; its bar is paler, for it still grows.
const isWhole = ({ time, coverage }) => compare(coverage, WHOLE) >= 0 && time + HOUR_MS <= now();

function hover(at) {
  hovered = at === null ? null : (hours[at] ?? null);
  describe();
}

function describe() {
  text(byId("activity-words"), hovered ? hourly(hovered) : "By hour, UTC");
  const known = hours.filter(({ senders }) => senders !== null);
  const newest = known.at(-1);
  if (newest) picture.ariaLabel = `Active addresses by hour, ${known.length} hours known. ${hourly(newest)}.`;
}

function hourly({ time, senders, participants, coverage }) {
  if (senders === null) return `${hourOf(time / 1000)}  not scanned`;
  const covered = isWhole({ time, coverage }) ? "" : time + HOUR_MS > now() ? " · so far" : ` · ${percentage(coverage)} covered`;
  return `${hourOf(time / 1000)}  ${count(senders)} sent · ${count(participants)} sent or received${covered}`;
}

/** The age of the figures, where they are known. */
export function tick() {
  if (!day) return;
  const stale = Boolean(day.isStale) || now() - day.asOf > Math.max(SILENT_MS, day.staleAfterMs ?? 0);
  const scannedAt = day.updatedAt ?? null;
  box.toggleAttribute("data-stale", stale);
  text(byId("activity-age"), scannedAt === null ? "" : `${stale ? "stale: " : ""}scanned ${since(scannedAt, now())}`);
}
