// Markets or chains: the address says which page is shown, so that it can be linked and gone back
// to. What the page of chains needs is loaded when it is first opened.

import { byId, el } from "./dom.js";
import { selection } from "./state.js";

const CHAINS = "chains";
const MARKETS = "markets";
const root = document.documentElement;
let marketTitle = "MoonX";
let connection = null;
let changed = () => {};
let chains = null; // the page's module, once it is there

export const current = () => (root.dataset.page === CHAINS ? CHAINS : MARKETS);

/** Wires the switch; `socket` is what the page of chains subscribes with, `onChange()` follows a change of page. */
export function start(socket, onChange) {
  connection = socket;
  changed = onChange;
  addEventListener("hashchange", follow);
  follow();
}

// Fragments that begin alike are places within the page of chains.
const follow = () => show(location.hash.startsWith(`#${CHAINS}`) ? CHAINS : MARKETS);

/** Goes to a page. */
export function go(page) {
  if (page === current()) return;
  history.pushState(null, "", page === CHAINS ? `#${CHAINS}` : address());
  show(page);
}

function show(page) {
  const before = root.dataset.page;
  root.dataset.page = page;
  for (const link of byId("pages").children) {
    if (link.dataset.page === page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (page === MARKETS && location.hash === `#${MARKETS}`) place();
  drawTitle();
  changed();
  if (page === CHAINS) open();
  else if (before === CHAINS) chains?.close();
}

/** Writes the selected market into the address, where markets are shown. */
export function place() {
  if (current() === MARKETS && selection.symbol) history.replaceState(null, "", address());
}

const address = () => (selection.symbol ? `#${selection.symbol}/${selection.interval}` : `#${MARKETS}`);

async function open() {
  try {
    chains ??= await import("./stats.js");
  } catch {
    return explain();
  }
  if (current() === CHAINS) chains.open(connection);
}

// A module that could not be fetched is not asked for again: only a new page asks anew.
function explain() {
  const again = el("button", { class: "plain", type: "button" }, "Reload the page");
  again.addEventListener("click", () => location.reload());
  const note = byId("chains-note");
  for (const part of ["chains-cards", "activity", "bridges"]) byId(part).hidden = true;
  note.replaceChildren(el("p", {}, "This view could not be loaded: the server cannot be reached."), again);
  note.hidden = false;
}

/** What the window is called while markets are shown. */
export function nameMarket(words) {
  marketTitle = words;
  drawTitle();
}

function drawTitle() {
  const title = current() === CHAINS ? "Chains · MoonX" : marketTitle;
  if (document.title !== title) document.title = title;
}

/** Takes a message of the live connection; whether it was about chains. */
export const take = (message) => chains?.take(message) ?? false;

/** After a break: asks for what was missed. */
export const refresh = () => (current() === CHAINS ? chains?.refresh() : null);

/** The theme, or a second, has changed. */
export const restyle = () => chains?.restyle();
export const tick = () => current() === CHAINS && chains?.tick();
