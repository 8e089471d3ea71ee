// Under the chart: what is the reader's own, in tabs.

import * as balances from "./balances.js";
import { byId, el, text } from "./dom.js";
import * as fills from "./fills.js";
import { soon } from "./frame.js";
import * as openOrders from "./openorders.js";
import { isOpen, onChange, own } from "./own.js";
import * as pastOrders from "./pastorders.js";
import { recall, remember } from "./remembered.js";
import { link } from "./state.js";
import { ending, sentence } from "./wording.js";

const PARTS = { orders: openOrders, fills, past: pastOrders, balances };
const gate = byId("mine-gate");
const said = byId("mine-said");
let chosen = "orders";
let signedIn = false;

/** Wires the tabs. */
export function start() {
  const tabs = [...byId("mine-tabs").children];
  for (const tab of tabs) tab.addEventListener("click", () => choose(tab.dataset.part));
  byId("mine-tabs").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.findIndex((tab) => tab.dataset.part === chosen) + step + tabs.length) % tabs.length];
    choose(next.dataset.part);
    next.focus();
  });
  for (const [name, part] of Object.entries(PARTS)) byId(`mine-${name}`).prepend(part.table.node);
  openOrders.start(say);
  onChange(draw);
  choose(recall("mine") in PARTS ? recall("mine") : "orders");
}

function choose(part) {
  chosen = part;
  remember("mine", part);
  for (const tab of byId("mine-tabs").children) {
    const current = tab.dataset.part === part;
    tab.ariaSelected = String(current);
    tab.tabIndex = current ? 0 : -1;
    byId(`mine-${tab.dataset.part}`).hidden = !current || !signedIn;
  }
  byId("mine-tools").hidden = part !== "orders" || !signedIn;
  if (signedIn) PARTS[part].opened?.();
  draw();
}

/** Shows what is the reader's, or asks who reads. */
export function follow(exists) {
  signedIn = exists;
  gate.hidden = exists;
  if (!exists) say("");
  choose(chosen);
}

/** What was loaded is of no more use: another reader may come. */
export function forget() {
  for (const part of Object.values(PARTS)) part.forget?.();
}

/** Another market was chosen. */
export function moved() {
  if (signedIn) PARTS[chosen].opened?.();
}

/** Says what happened, also to who listens to the page. */
export function say(words, tone = "") {
  text(said, words);
  said.dataset.tone = tone;
}

/** Tells of an order that ended otherwise than by the reader's hand on this page. */
export function tell(order) {
  if (isOpen(order)) return;
  const words = `${sentence(order)}: ${ending(order)}.`;
  say(words, order.status === "FILLED" ? "up" : "");
}

export function draw() {
  text(byId("count-orders"), own.ready.orders && own.orders.size ? String(own.orders.size) : "");
  if (!signedIn) return;
  const part = PARTS[chosen];
  const rows = part.rows();
  part.table.draw(rows);
  drawNote(part, rows.length);
}

function drawNote(part, count) {
  const note = byId(`mine-${chosen}`).querySelector(".note");
  const waits = !part.ready();
  const words = count ? "" : waits ? waiting(part) : part.empty();
  note.hidden = Boolean(count);
  note.classList.toggle("bones", !count && waits && !words);
  if (note.dataset.words === words) return;
  note.dataset.words = words;
  note.replaceChildren(...(words ? [el("p", {}, words)] : skeleton()));
}

function waiting(part) {
  if (part.fault?.()) return part.fault();
  return link.state === "waiting" || link.state === "refused" ? "This comes over the live connection, which is down." : "";
}

const skeleton = () => Array.from({ length: 3 }, () => el("span", { class: "bone" }));

/** Counts down what ends. */
export function tick() {
  if (signedIn && chosen === "orders" && own.orders.size) soon(draw);
}

