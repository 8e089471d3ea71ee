// Keyboard: `/` searches markets, Escape leaves the search.

import { byId } from "./dom.js";
import * as list from "./list.js";
import * as views from "./views.js";

const isTyping = (target) => target.matches?.("input, textarea, select, [contenteditable]");

export function start() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && !isTyping(event.target)) {
      event.preventDefault();
      views.show("markets");
      byId("search").focus();
    } else if (event.key === "Escape" && list.clearSearch()) {
      views.show("chart");
    }
  });
}
