// What stands where there is nothing to show: what happened, and what to do.

import { el } from "./dom.js";

/** Says a sentence in `node`, with a button where something can be tried again. */
export function say(node, sentence, retry = null) {
  const parts = [el("p", {}, sentence)];
  if (retry) {
    const again = el("button", { class: "plain", type: "button" }, "Try again");
    again.addEventListener("click", retry);
    parts.push(again);
  }
  node.replaceChildren(...parts);
  node.hidden = false;
}

export function clear(node) {
  if (node.hidden) return;
  node.hidden = true;
  node.replaceChildren();
}
