// The order form: says what an order would hold and cost before the button, sends it once, and
// tells what became of it.

import { times, trim } from "./amounts.js";
import { best } from "./book.js";
import { byId, el, flash, text } from "./dom.js";
import { FORCES, TYPES, cost, faults, parameters, portion, shown } from "./draft.js";
import { cut, percentOf } from "./format.js";
import * as ladder from "./ladder.js";
import { outcome } from "./outcome.js";
import { available, own } from "./own.js";
import { found, makeId, place } from "./sending.js";
import { now, pair, selected } from "./state.js";

const form = byId("ticket-form");
const said = byId("ticket-said");
const fields = form.elements;
const NAMES = ["stop", "price", "amount", "lasts", "until"];
// Which field a refusal is about, by the server's own words.
const ABOUT = [
  [/PRICE_FILTER|PERCENT_PRICE|match and take/, "price"],
  [/LOT_SIZE|NOTIONAL|insufficient balance/i, "amount"],
  [/trigger/i, "stop"],
  [/goodTillDate|date/i, "lasts"],
];
const STATUS_NOTES = {
  BREAK: "This market does not trade: it shows what was traded before.",
  HALT: "Trading is halted: orders are refused until it goes on.",
  POST_ONLY: "Only orders that do not fill at once are taken now.",
};

let signedIn = false;
let changed = () => {};
let sending = false;
let sentId = null; // the id of an order whose outcome is not known, or which did not arrive

/** Wires the form; `redraw` draws it in the next frame. */
export function start(redraw) {
  changed = redraw;
  fields.type.append(...Object.entries(TYPES).map(([value, { name }]) => el("option", { value }, name)));
  fields.force.append(...Object.entries(FORCES).map(([value, name]) => el("option", { value }, name)));
  form.addEventListener("input", (event) => edited(event.target));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  for (const button of form.querySelectorAll("[data-percent]")) button.addEventListener("click", () => fillPart(Number(button.dataset.percent)));
  for (const button of form.querySelectorAll("[data-best]")) button.addEventListener("click", () => fillBest(button.dataset.best));
}

function edited(field) {
  sentId = null;
  if (!sending) say("");
  clearFault(field.name);
  if (["type", "side", "force", "span"].includes(field.name)) clearFaults();
  changed();
}

/** Shows the form, or who must sign in first. */
export function follow(exists) {
  signedIn = exists;
  byId("ticket-gate").hidden = exists;
  form.hidden = !exists;
  if (!exists) reset();
  changed();
}

/** Another market: nothing of the former one's order stays. */
export function reset() {
  sentId = null;
  for (const name of NAMES) if (name !== "lasts") fields[name].value = "";
  clearFaults();
  if (!sending) say("");
  changed();
}

/** Begins an order on a side; whether there is a form to fill. */
export function begin(side) {
  if (!signedIn) return false;
  fields.side.value = side;
  edited(fields.side[0]);
  draw();
  const wanted = [fields.stop, fields.price, fields.amount].filter((field) => field.offsetParent);
  (wanted.find((field) => !field.value) ?? wanted.at(-1))?.focus();
  return true;
}

/** Leaves the form; whether it was being filled. */
export function leave() {
  if (!form.contains(document.activeElement)) return false;
  document.activeElement.blur();
  clearFaults();
  return true;
}

/** Takes the price of a level that somebody chose. */
export function fillPrice(price) {
  if (!signedIn) return;
  if (!TYPES[fields.type.value].price) fields.type.value = "LIMIT";
  put(fields.price, trim(price));
  draw();
}

function fillBest(side) {
  const price = best(ladder.current())[side];
  if (price) put(fields.price, trim(price));
}

function fillPart(percent) {
  const draft = read();
  const amount = portion(percent, draft, selected(), context(draft));
  if (amount) return put(fields.amount, amount);
  showFault("amount", context(draft).available === null ? "Your balance is not known yet." : "Enter a price first: the amount follows from it.");
}

function put(field, value) {
  field.value = value;
  edited(field);
  flash(field.closest(".field"));
}

function read() {
  const draft = Object.fromEntries([...NAMES, "type", "unit", "force", "span"].map((name) => [name, fields[name].value]));
  return { ...draft, side: fields.side.value };
}

function context(draft) {
  const market = selected();
  const asset = draft.side === "BUY" ? market.quote : market.base;
  return { rates: own.rates, available: available(asset), best: best(ladder.current()), now: now() };
}

// What the form shows

export function draw() {
  const market = selected();
  if (!market?.base) return;
  text(byId("ticket-market"), pair(market));
  if (!signedIn) return;
  const draft = read();
  drawFields(draft, market);
  drawHints(market);
  drawCosts(draft, market);
  drawButton(draft, market);
}

function drawFields(draft, market) {
  const { price, stop, force } = TYPES[draft.type];
  const gtd = force && draft.force === "GTD";
  show("price", price);
  show("stop", stop);
  show("force", force);
  show("lasts", gtd);
  fields.lasts.hidden = draft.span === "date";
  fields.until.hidden = draft.span !== "date";
  byId("hints").hidden = !price;
  const byMarket = draft.type === "MARKET";
  fields.unit.hidden = !byMarket;
  byId("amount-unit").hidden = byMarket;
  text(byId("amount-unit"), market.base);
  text(fields.unit.options[0], market.base);
  text(fields.unit.options[1], market.quote);
  for (const unit of form.querySelectorAll(".in-quote")) text(unit, market.quote);
  form.dataset.side = draft.side;
  const note = STATUS_NOTES[market.status] ?? (market.takesOrders ? "" : "No orders are taken in this market.");
  byId("ticket-note").hidden = !note;
  text(byId("ticket-note"), note);
}

const show = (name, wanted) => (form.querySelector(`[data-field=${name}]`).hidden = !wanted);

function drawHints(market) {
  const { bid, ask } = best(ladder.current());
  const price = (value) => (value ? cut(value, market.pricePlaces) : "–");
  text(byId("hint-bid"), price(bid));
  text(byId("hint-ask"), price(ask));
}

function drawCosts(draft, market) {
  const known = context(draft);
  const asset = draft.side === "BUY" ? market.quote : market.base;
  text(byId("free"), known.available === null ? "–" : `${shown(known.available, 2)} ${asset}`, known.available ?? "");
  const costs = cost(draft, market, known);
  const about = costs?.about ? "up to " : "";
  const around = costs?.around ? (draft.side === "BUY" ? "up to " : "about ") : "";
  text(byId("cost-total"), costs ? `${around}${shown(costs.total, 2)} ${market.quote}` : "–", costs?.total ?? "");
  text(byId("cost-hold"), costs ? `${about}${shown(costs.hold, 2)} ${costs.asset}` : "–", costs?.hold ?? "");
  text(byId("cost-fee"), costs ? `${shown(costs.fee, 2)} ${market.quote}` : "–", costs?.fee ?? "");
  text(byId("cost-rates"), own.rates ? ` (${rate("maker")} / ${rate("taker")})` : "", "What resting and what taking costs of the traded value");
}

const rate = (kind) => `${trim(percentOf(times(own.rates[kind], "1000"), "1000"))} %`;

function drawButton(draft, market) {
  const button = byId("ticket-button");
  const words = sending ? "Placing…" : `${draft.side === "BUY" ? "Buy" : "Sell"} ${market.base}`;
  text(button, words);
  button.ariaBusy = String(sending);
}

// What is wrong, beside the field that it is about

function showFault(name, sentence) {
  const field = fields[name];
  text(byId(`fault-${name === "until" ? "lasts" : name}`), sentence);
  field.setAttribute("aria-invalid", "true");
  field.closest(".field").dataset.wrong = "";
  field.focus();
  field.select?.();
}

function clearFault(name) {
  const field = NAMES.includes(name) ? fields[name] : null;
  if (!field) return;
  text(byId(`fault-${name === "until" ? "lasts" : name}`), "");
  field.removeAttribute("aria-invalid");
  delete field.closest(".field").dataset.wrong;
}

function clearFaults() {
  for (const name of NAMES) clearFault(name);
}

function say(words, tone = "", ...more) {
  said.replaceChildren(words, ...more);
  said.dataset.tone = tone;
}

// Sending

async function submit() {
  if (sending) return say("The order is on its way: wait for the answer.");
  const [market, draft] = [selected(), read()];
  clearFaults();
  const wrong = faults(draft, market, context(draft));
  for (const [name, sentence] of wrong.toReversed()) showFault(name, sentence);
  if (wrong.length) return say("Not placed: see above.", "down");
  sentId ??= makeId();
  await deliver({ ...parameters(draft, market, now()), newClientOrderId: sentId }, place);
}

async function deliver(order, send) {
  sending = true;
  say("Placing…");
  changed();
  try {
    tell(order, await send(order, { waiting: () => say("The answer was lost. Asking what became of the order…", "warn") }));
  } catch (error) {
    sentId = null;
    refuse(error.message);
  } finally {
    sending = false;
    changed();
  }
}

function tell(order, { order: placed, unknown }) {
  if (unknown) {
    const again = el("button", { type: "button", class: "plain small" }, "Ask again");
    again.addEventListener("click", () => deliver(order, (asked) => found(asked)));
    return say("It is not known whether the order arrived: the server does not answer. ", "warn", again);
  }
  if (!placed) return say("The order did not arrive: nothing was placed. Placing it again cannot double it.", "warn");
  sentId = null;
  const { words, tone } = outcome(placed, selected());
  say(words, tone);
  fields.amount.value = "";
}

function refuse(sentence) {
  say(`Not placed: ${sentence}`, "down");
  const name = ABOUT.find(([pattern]) => pattern.test(sentence))?.[1];
  const field = name === "lasts" && fields.lasts.hidden ? "until" : name;
  if (field && fields[field].offsetParent) showFault(field, sentence);
}
