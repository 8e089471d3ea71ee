// On a phone one panel is seen at a time, chosen by the tabs at the bottom; the last is a page of its own.

import { byId } from "./dom.js";
import * as pages from "./pages.js";

const CHAINS = "chains";
const shell = byId("shell");
const tabs = byId("tabs");

export function start() {
  for (const tab of tabs.children) tab.addEventListener("click", () => show(tab.dataset.view));
}

/** Brings a panel to the front: markets, chart, book, trade or mine; or the page of chains. */
export function show(view) {
  if (view !== CHAINS) shell.dataset.view = view;
  pages.go(view === CHAINS ? CHAINS : "markets");
  draw();
}

/** Marks the tab of what is shown. */
export function draw() {
  const shown = pages.current() === CHAINS ? CHAINS : shell.dataset.view;
  for (const tab of tabs.children) {
    if (tab.dataset.view === shown) tab.setAttribute("aria-current", "true");
    else tab.removeAttribute("aria-current");
  }
}
