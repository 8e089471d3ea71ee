// The line under the chart: since when the values stand, and for a while what was just done.

import { byId, text } from "./dom.js";

const node = byId("asof");
let standing = "";
let passing = null;

/** What the line says while there is nothing else to say. */
export function stand(words) {
  standing = words;
  if (passing === null) text(node, words);
}

/** Says something for `lastsMs`, then what stands again. */
export function tell(words, lastsMs) {
  clearTimeout(passing);
  text(node, words, words);
  passing = setTimeout(() => {
    passing = null;
    text(node, standing, "");
  }, lastsMs);
}
