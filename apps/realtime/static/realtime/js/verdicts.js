// Verdicts and their reasons in words: each has a sign and a word beside its colour.

import { el, svg } from "./dom.js";
import { count, duration, percentage } from "./figures.js";

/** From the best to the worst. */
export const VERDICTS = ["healthy", "degraded", "unhealthy", "unknown"];

const TONES = { healthy: "up", degraded: "warn", unhealthy: "down", unknown: "quiet", lagging: "warn", excluded: "down" };
const SIGNS = { lagging: "degraded", excluded: "unhealthy" };

const capital = (word) => word[0].toUpperCase() + word.slice(1);

export function signOf(verdict) {
  const name = SIGNS[verdict] ?? (VERDICTS.includes(verdict) ? verdict : "unknown");
  return svg("svg", { class: `sign ${TONES[verdict] ?? "quiet"}`, "aria-hidden": "true" }, svg("use", { href: `#icon-${name}` }));
}

/** Fills a node with a verdict's sign and word; whether it changed. */
export function drawVerdict(node, verdict) {
  if (node.dataset.verdict === verdict) return false;
  const first = node.dataset.verdict === undefined;
  node.dataset.verdict = verdict;
  node.className = `verdict ${TONES[verdict] ?? "quiet"}`;
  node.replaceChildren(signOf(verdict), capital(verdict));
  return !first;
}

/** Fills a node with how many are of each verdict; `counts` by verdict. */
export function drawTally(node, counts) {
  const words = VERDICTS.filter((verdict) => counts[verdict]).map((verdict) => `${counts[verdict]} ${verdict}`);
  const shown = words.join(", ") || "none yet";
  if (node.dataset.shown === shown) return;
  node.dataset.shown = shown;
  node.title = shown;
  node.replaceChildren(...(words.length ? VERDICTS.filter((verdict) => counts[verdict]).map((verdict) => tallyOf(verdict, counts[verdict])) : [shown]));
}

const tallyOf = (verdict, number) =>
  el("span", { class: "tally-part" }, signOf(verdict), String(number), el("span", { class: "tally-word" }, verdict));

const ms = (text) => duration(Number(text));
const limited = (words, shown) => ({ value, limit }) => `${words} ${shown(value)}${limit ? `, limit ${shown(limit)}` : ""}`;

// What each rule says of the value that broke it.
const RULES = {
  headAge: limited("Age of the newest block", ms),
  blockTime: limited("Block time p95", ms),
  finalityLag: limited("Finality behind by", ms),
  latency: limited("p95", ms),
  p95: limited("p95", ms),
  tps: ({ value, limit }) => `Transactions a second ${value}, at least ${limit} are usual at this hour`,
  reorg: limited("Reorganised, blocks", count),
  success: limited("Success", percentage),
};

const BARE = {
  noSample: "Nothing was sampled yet",
  noProvider: "No provider is set",
};

/** A reason as a sentence; a rule that is not known here is named as the server names it. */
export function reasonOf(reason) {
  const said = RULES[reason.rule];
  if (said && reason.value !== null && reason.value !== undefined) return said(reason);
  if (BARE[reason.rule]) return BARE[reason.rule];
  const words = capital(reason.rule.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`));
  return [words, reason.value, reason.limit && `limit ${reason.limit}`].filter(Boolean).join(", ");
}

/** Fills a list with reasons. */
export function drawReasons(list, reasons) {
  const sentences = reasons.map(reasonOf);
  const shown = sentences.join("|");
  list.hidden = !sentences.length;
  if (list.dataset.shown === shown) return;
  list.dataset.shown = shown;
  list.replaceChildren(...sentences.map((sentence) => el("li", {}, sentence)));
}
