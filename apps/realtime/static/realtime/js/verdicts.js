// Verdicts and their reasons in words: each has a sign and a word beside its colour.

import { el, svg } from "./dom.js";
import { count, duration, percentage } from "./figures.js";

/** From the best to the worst. */
export const VERDICTS = ["healthy", "degraded", "unhealthy", "unknown"];

// Providers have states of their own, drawn as the verdict that they come near to.
const LIKE = { ok: "healthy", lagging: "degraded", excluded: "unhealthy", failing: "unhealthy", wrongChain: "unhealthy" };
const TONES = { healthy: "up", degraded: "warn", unhealthy: "down", unknown: "quiet" };

const kindOf = (state) => (state in TONES ? state : (LIKE[state] ?? "unknown"));

const capital = (word) => word[0].toUpperCase() + word.slice(1);

/** "wrong chain" of "wrongChain". */
export const spelled = (name) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

export function signOf(state) {
  const kind = kindOf(state);
  return svg("svg", { class: `sign ${TONES[kind]}`, "aria-hidden": "true" }, svg("use", { href: `#icon-${kind}` }));
}

/** Fills a node with a verdict's sign and word; whether it changed. */
export function drawVerdict(node, verdict) {
  if (node.dataset.verdict === verdict) return false;
  const first = node.dataset.verdict === undefined;
  node.dataset.verdict = verdict;
  node.className = `verdict ${TONES[kindOf(verdict)]}`;
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

const ms = (value) => duration(Number(value));
const limited = (words, shown) => ({ value, limit }) => `${words} ${shown(value)}, limit ${shown(limit)}`;

// What each rule says of the value that broke it.
const RULES = {
  headAge: limited("Age of the newest block", ms),
  clockSkew: limited("Newest block ahead of our clock by", ms),
  blockTimeP95: limited("Block time p95", ms),
  finalityLag: limited("Finality behind by", ms),
  tps: ({ value, limit }) => `Transactions a second ${value}, at least ${limit} are usual at this hour`,
  reorgDepth: limited("Reorganised in the last hour, blocks", count),
  reorgPastFinality: ({ value }) => `Final blocks were replaced, ${count(value)} deep`,
  settling: ({ value, limit }) => `Recovering: ${value} of ${limit} good samples`,
  stale: ({ limit }) => `Not looked at for over ${ms(limit)}`,
  noData: () => "No provider answers",
  split: ({ value }) => `Providers tell of ${count(value)} different chains`,
  noSample: () => "Nothing was sampled yet",
  providerFault: (reason) => `${reason.provider}: ${causeOf(reason)}`,
  successRate: limited("Success", percentage),
  latencyP95: limited("Time to a quote p95", ms),
  samples: ({ value, limit }) => `${count(value)} attempts in the last hour, a verdict needs ${limit}`,
  circuit: () => "Not asked for a while: it failed too often",
  notWatched: () => "Not watched any more",
  rateLimited: ({ value }) => `We asked too often: refused ${count(value)} times`,
  authentication: ({ value }) => `Our key was not taken ${count(value)} times`,
  heldBack: ({ value }) => `Our own limits held ${count(value)} requests back`,
  refused: ({ value }) => `What we ask was refused ${count(value)} times`,
};

const CAUSES = {
  lagBlocks: ({ value }) => `${count(value)} blocks behind`,
  lagMs: ({ value }) => `${ms(value)} behind`,
  errorRate: ({ value }) => `${percentage(value)} of its calls fail`,
  p95Ms: ({ value }) => `slow, p95 ${ms(value)}`,
  forked: () => "follows another fork",
  dreaming: () => "tells of a head that cannot be",
};

function causeOf(reason) {
  if (CAUSES[reason.cause]) return CAUSES[reason.cause](reason);
  return RULES[reason.cause] ? RULES[reason.cause](reason) : spelled(reason.cause);
}

/** A reason as a sentence; a rule that is not known here is named as the server names it. */
export function reasonOf(reason) {
  const said = RULES[reason.rule];
  if (said) return said(reason);
  const limit = reason.limit === null ? "" : `limit ${reason.limit}`;
  return [capital(spelled(reason.rule)), reason.value, limit].filter((part) => part !== null && part !== "").join(", ");
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
