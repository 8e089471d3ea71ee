// Keyboard: `/` searches markets, `b` and `s` start an order, Escape leaves either.

import { byId } from "./dom.js";
import * as list from "./list.js";
import * as pages from "./pages.js";
import * as ticket from "./ticket.js";
import * as views from "./views.js";

const SIDES = { b: "BUY", s: "SELL" };

const isTyping = (target) => target.matches?.("input:not([type=radio]), textarea, select, [contenteditable]");

/** Wires the keys; `signIn()` where an order needs a name first. */
export function start(signIn) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") return leave();
    if (isTyping(event.target)) return;
    if (event.key === "/") search(event);
    else if (SIDES[event.key]) order(event, signIn);
  });
}

function search(event) {
  event.preventDefault();
  views.show("markets");
  byId("search").focus();
}

function order(event, signIn) {
  event.preventDefault();
  views.show("trade");
  if (!ticket.begin(SIDES[event.key])) signIn();
}

function leave() {
  if (pages.current() !== "markets") return;
  if (list.clearSearch() || ticket.leave()) views.show("chart");
}
