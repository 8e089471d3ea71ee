// The bridges' table: grouped by provider, a row for each corridor and size; one row is looked at.

import * as bridge from "./bridge.js";
import { corridorOf, errorsOf, failures, named } from "./corridors.js";
import { arrange, byId, el, flash, text } from "./dom.js";
import { NONE, count, duration, percentage } from "./figures.js";
import { compare } from "./format.js";
import { drawAge, isNewer, isNews, standing } from "./freshness.js";
import { say } from "./notes.js";
import { path, sparkline } from "./sparkline.js";
import { now } from "./state.js";
import * as api from "./statsapi.js";
import { VERDICTS, drawVerdict, reasonOf } from "./verdicts.js";

const DAY_MS = 86_400_000;
const LINE_POINTS = 32; // that a line in the table has room for
const SIMULATED = "These quotes come from a simulator: no key, or no way to the real service, is set";

const body = byId("bridges-rows");
const rows = new Map(); // key → what the server tells
const points = new Map();
const nodes = new Map();
const groups = new Map();
const sorting = { by: null, down: false };
let table = null;
let chosen = null;

const keyOf = ({ provider, from, to, size }) => `${provider}:${from}:${to}:${size}`;

const optional = (pick, order) => (left, right) => {
  const [one, other] = [pick(left), pick(right)];
  if (one === null || other === null) return Number(other === null) - Number(one === null);
  return order(one, other);
};
const bySize = (left, right) => compare(left.size, right.size);
const byCorridor = (left, right) => corridorOf(left).localeCompare(corridorOf(right)) || bySize(left, right);
const numbers = (one, other) => one - other;

const COLUMNS = [
  { name: "corridor", title: "Corridor", order: byCorridor },
  { name: "size", title: "Size", right: true, order: bySize, draw: (cell, row) => text(cell, count(row.size), "In whole coins") },
  { name: "state", title: "Verdict", order: (left, right) => VERDICTS.indexOf(left.verdict) - VERDICTS.indexOf(right.verdict), draw: drawRowVerdict },
  { name: "success", title: "Success", right: true, order: optional(({ successRate }) => successRate, compare), draw: (cell, row) => text(cell, percentage(row.successRate), row.successRate ?? "") },
  { name: "p50", title: "p50", right: true, order: optional(({ latencyMs }) => latencyMs.p50, numbers), draw: (cell, row) => text(cell, duration(row.latencyMs.p50)) },
  { name: "p95", title: "p95", right: true, order: optional(({ latencyMs }) => latencyMs.p95, numbers), draw: (cell, row) => text(cell, duration(row.latencyMs.p95)) },
  { name: "errors", title: "Errors", order: (left, right) => failures(left) - failures(right), draw: (cell, row) => text(cell, errorsOf(row) || NONE, errorsOf(row)) },
  { name: "line", title: "Last quotes" },
  { name: "sampled", title: "Sampled", right: true },
];

const STATE = COLUMNS.findIndex(({ name }) => name === "state");

function drawRowVerdict(cell, row) {
  const changed = drawVerdict(cell.firstElementChild ?? cell.appendChild(el("span")), standing(row, now()));
  cell.title = row.reasons.map(reasonOf).join("\n");
  return changed;
}

/** Asks for all rows and for their last day. Throws ApiError. */
export async function load() {
  const answer = await api.bridges();
  for (const row of answer.bridges) if (isNewer(row, rows.get(keyOf(row)))) rows.set(keyOf(row), row);
  draw();
  if (!rows.size) return explain("No quote was asked for yet: the first round takes up to two minutes.");
  bridge.renew();
  await loadPoints();
}

export function fail(message, retry) {
  if (!rows.size) explain(`Bridges could not be loaded. ${message}`, retry);
}

function explain(sentence, retry = null) {
  const note = el("div", { class: "note" });
  say(note, sentence, retry);
  body.replaceChildren(note);
}

async function loadPoints() {
  try {
    const to = Math.floor(now());
    const answer = await api.bridgeHistory({ from: to - DAY_MS, to, limit: LINE_POINTS });
    for (const one of answer.series) points.set(keyOf(one), one.points);
  } catch {
    return; // rows stand without their lines
  }
  draw();
}

/** Takes a row as it is pushed; what is no news changes nothing. */
export function take(row) {
  const key = keyOf(row);
  if (!isNews(row, rows.get(key))) return;
  rows.set(key, { isStale: false, staleAfterMs: rows.get(key)?.staleAfterMs, ...row });
  if (key === chosen) bridge.renew();
}

export function draw() {
  if (!rows.size) return;
  if (!table) begin();
  const all = [...rows.values()];
  const providers = [...new Set(all.map(({ provider }) => provider))].sort();
  arrange(table, [table.tHead, ...providers.map((provider) => drawGroup(provider, all))]);
  choose(rows.has(chosen) ? chosen : keyOf(worst(all)));
}

// What is looked at first is what is worst.
const worst = (all) => [...all].sort((left, right) => severity(right) - severity(left))[0];
const severity = ({ verdict }) => ["unknown", "healthy", "degraded", "unhealthy"].indexOf(verdict);

function begin() {
  const heads = COLUMNS.map((column) => headOf(column));
  table = el("table", { class: "quotes" }, el("caption", { class: "hidden" }, "Bridges by provider, corridor and size"), el("thead", {}, el("tr", {}, ...heads)));
  body.replaceChildren(table);
}

function headOf(column) {
  const attributes = { scope: "col", class: classOf(column) };
  if (!column.order) return el("th", attributes, column.title);
  const button = el("button", { type: "button" }, column.title);
  button.addEventListener("click", () => sortBy(column, button));
  return el("th", { ...attributes, "aria-sort": "none" }, button);
}

const classOf = ({ name, right }) => (right ? `right ${name}` : name);

function sortBy(column, button) {
  sorting.down = sorting.by === column ? !sorting.down : !["corridor", "size"].includes(column.name);
  sorting.by = column;
  for (const head of table.querySelectorAll("th[aria-sort]")) head.ariaSort = "none";
  for (const other of table.querySelectorAll("th button")) delete other.dataset.direction;
  button.closest("th").ariaSort = sorting.down ? "descending" : "ascending";
  button.dataset.direction = sorting.down ? "down" : "up";
  draw();
}

function drawGroup(provider, all) {
  const mine = all.filter((row) => row.provider === provider).sort(byCorridor);
  if (sorting.by) mine.sort((left, right) => sorting.by.order(left, right) * (sorting.down ? -1 : 1));
  const { section, head, badge } = groupOf(provider);
  badge.hidden = !mine.some(({ simulated }) => simulated);
  arrange(section, [head, ...mine.map(drawRow)]);
  return section;
}

function groupOf(provider) {
  if (!groups.has(provider)) {
    const badge = el("span", { class: "badge warn", title: SIMULATED }, "simulated");
    const head = el("tr", { class: "group" }, el("th", { scope: "rowgroup", colspan: COLUMNS.length }, named(provider), " ", badge));
    groups.set(provider, { section: el("tbody", { "data-provider": provider }, head), head, badge });
  }
  return groups.get(provider);
}

function drawRow(row) {
  const key = keyOf(row);
  const held = nodes.get(key);
  const { node, spark } = held ?? newRow(row, key);
  COLUMNS.forEach((column, at) => {
    if (column.draw?.(node.children[at], row) && held) flash(node.children[at]);
  });
  const latest = (points.get(key) ?? []).map(({ latencyMs }) => latencyMs.p50).filter((ms) => ms !== null);
  spark.picture.toggleAttribute("hidden", path(latest) === "");
  spark.draw(latest);
  drawSampled(node, row);
  return node;
}

function newRow(row, key) {
  const cells = COLUMNS.map((column) => el("td", { class: classOf(column), "data-title": column.title }));
  const node = el("tr", { "data-key": key }, ...cells);
  const button = el("button", { type: "button", "aria-pressed": "false" }, corridorOf(row));
  cells[0].append(button);
  const spark = sparkline();
  cells[COLUMNS.findIndex(({ name }) => name === "line")].append(spark.picture);
  node.addEventListener("click", () => {
    choose(key);
    bridge.reveal();
  });
  nodes.set(key, { node, button, spark });
  return nodes.get(key);
}

function drawSampled(node, row) {
  drawAge(node, node.lastElementChild, row, now());
}

/** Looks at a row. */
function choose(key) {
  chosen = key;
  for (const [other, { node, button }] of nodes) {
    const current = other === key;
    button.ariaPressed = String(current);
    node.toggleAttribute("data-current", current);
  }
  bridge.draw(rows.get(key), key);
}

/** Ages grow by themselves, and verdicts are worth less by them. */
export function tick() {
  for (const [key, { node }] of nodes) {
    drawSampled(node, rows.get(key));
    drawRowVerdict(node.children[STATE], rows.get(key));
  }
  bridge.tick();
}
