// On a phone one panel is seen at a time, chosen by the tabs at the bottom.

import { byId } from "./dom.js";

const shell = byId("shell");
const tabs = byId("tabs");

export function start() {
  for (const tab of tabs.children) tab.addEventListener("click", () => show(tab.dataset.view));
}

/** Brings a panel to the front: markets, chart or tape. */
export function show(view) {
  shell.dataset.view = view;
  for (const tab of tabs.children) {
    if (tab.dataset.view === view) tab.setAttribute("aria-current", "true");
    else tab.removeAttribute("aria-current");
  }
}
