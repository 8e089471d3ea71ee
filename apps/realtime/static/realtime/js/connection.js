// The pill: is the page live, when does it try again, and why not.

import { byId, text } from "./dom.js";
import { age } from "./format.js";
import { link } from "./state.js";

const pill = byId("pill");
const spoken = byId("pill-announcement");
const SPEECH = { live: "Connected", waiting: "Connection lost", refused: "Connection refused", connecting: "", out: "Sign in to go live" };
let retryAt = null;
let reason = "";

/** Wires the pill: a click tries again at once. */
export function start(retry) {
  pill.addEventListener("click", retry);
}

/** Takes the socket's state. */
export function show(update) {
  const lost = link.state === "live" && update.state !== "live";
  if (lost) link.since = Date.now();
  if (update.state !== "connecting" || link.state !== "waiting") text(spoken, SPEECH[update.state]);
  link.state = update.state;
  retryAt = update.retryAt;
  reason = update.reason;
  pill.dataset.state = update.state;
  draw();
}

export function draw() {
  text(byId("pill-text"), words());
  const old = link.down && link.since ? `Values are ${age(Date.now() - link.since)} old. ` : "";
  pill.title = link.state === "live" ? "Live: connected to the server" : `${old}${reason} Click to try again now.`.trim();
}

function words() {
  if (link.state === "live") return "Live";
  if (link.state === "out") return "Sign in";
  if (link.state === "refused") return "Refused";
  if (link.state === "waiting") return `Offline, retry in ${Math.max(1, Math.ceil((retryAt - Date.now()) / 1000))} s`;
  return link.since ? "Reconnecting" : "Connecting";
}
