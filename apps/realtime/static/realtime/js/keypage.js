// The page of API keys: list, make, show the secret once, revoke.

import * as account from "./account.js";
import { byId, el, text } from "./dom.js";
import { since, stamp } from "./format.js";
import * as session from "./session.js";
import * as signin from "./signin.js";
import { Table } from "./table.js";
import * as theme from "./theme.js";

const form = byId("key-form");
const fields = form.elements;
const note = byId("keys-note");
const FIELDS = ["label", "addresses"];
let keys = [];
let making = false;

const table = new Table({
  caption: "Your API keys",
  key: (key) => key.apiKey,
  columns: [
    { name: "label", title: "Name", order: (left, right) => (left.label.toLowerCase() < right.label.toLowerCase() ? -1 : 1), draw: drawLabel },
    { name: "may", title: "May", draw: (cell, key) => text(cell, key.canTrade ? "trade and read" : "read") },
    { name: "from", title: "Used from", draw: (cell, key) => text(cell, key.ipList.length ? key.ipList.join(", ") : "anywhere") },
    { name: "time", title: "Made", right: true, order: (left, right) => left.createdAt - right.createdAt, draw: (cell, key) => text(cell, stamp(key.createdAt).slice(0, 10), stamp(key.createdAt)) },
    { name: "time", title: "Last used", right: true, order: (left, right) => (left.lastUsedAt ?? 0) - (right.lastUsedAt ?? 0), draw: drawUse },
    { name: "act", spoken: "Revoke", right: true, draw: drawAct },
  ],
});

function drawLabel(cell, key) {
  if (cell.firstChild) return false;
  cell.append(el("b", { title: key.label }, key.label), el("code", { title: key.apiKey }, `${key.apiKey.slice(0, 12)}…`));
  return false;
}

function drawUse(cell, key) {
  return text(cell, key.lastUsedAt ? since(key.lastUsedAt, Date.now()) : "never", key.lastUsedAt ? stamp(key.lastUsedAt) : "");
}

function drawAct(cell, key) {
  if (cell.firstElementChild) return false;
  const button = el("button", { type: "button", class: "plain small", "aria-label": `Revoke ${key.label}` }, "Revoke");
  button.addEventListener("click", () => revoke(key));
  cell.append(button);
  return false;
}

async function load() {
  try {
    keys = await account.keys();
    draw();
  } catch (error) {
    if (error instanceof account.SignedOut) return follow();
    const again = el("button", { type: "button", class: "plain" }, "Try again");
    again.addEventListener("click", load);
    explain(`Keys could not be loaded. ${error.message}`, again);
  }
}

function draw() {
  table.draw(keys);
  note.hidden = keys.length > 0;
  table.node.hidden = !keys.length;
  if (!keys.length) explain("No keys yet. The first one is made above.");
}

function explain(words, ...more) {
  note.hidden = false;
  note.classList.remove("bones");
  note.replaceChildren(el("p", {}, words), ...more);
}

// Making

async function make() {
  if (making) return;
  clearFaults();
  const label = fields.label.value.trim();
  if (!label) return showFault("label", "Name the key, so that you know it again.");
  making = true;
  byId("key-button").ariaBusy = "true";
  text(byId("key-said"), "Making the key…");
  const ipList = fields.addresses.value.split(/[\s,]+/).filter(Boolean);
  try {
    const made = await account.createKey({ label, canTrade: fields.canTrade.checked, ipList });
    text(byId("key-said"), "");
    form.reset();
    showSecret(made);
    await load();
  } catch (error) {
    tellFault(error, ipList);
  } finally {
    making = false;
    byId("key-button").ariaBusy = "false";
  }
}

function tellFault(error, ipList) {
  text(byId("key-said"), "");
  if (error instanceof account.Unknown) {
    load(); // it may have been made: the list tells, though its secret is lost
    return text(byId("key-said"), `${error.message} If the list below shows the key, revoke it: its secret never arrived.`);
  }
  const [, field, at, sentence] = /^body\.(label|ipList)\.?(\d*): (?:Value error, )?(.*)$/.exec(error.message) ?? [];
  if (field === "label") showFault("label", `The name ${sentence}.`);
  else if (field) showFault("addresses", `${at ? `“${ipList[at]}”` : "The list"} ${sentence}.`);
  else text(byId("key-said"), error.message);
}

function showFault(name, sentence) {
  text(byId(`fault-${name}`), sentence);
  fields[name].setAttribute("aria-invalid", "true");
  fields[name].focus();
}

function clearFaults() {
  for (const name of FIELDS) {
    text(byId(`fault-${name}`), "");
    fields[name].removeAttribute("aria-invalid");
  }
}

function showSecret({ apiKey, secretKey }) {
  text(byId("new-key"), apiKey);
  text(byId("new-secret"), secretKey);
  text(byId("copy-said"), "");
  byId("secret").hidden = false;
  byId("secret-title").focus();
}

function hideSecret() {
  byId("secret").hidden = true;
  text(byId("new-key"), "");
  text(byId("new-secret"), "");
}

async function copy(button) {
  const source = byId(button.dataset.copy);
  const what = button.dataset.copy === "new-secret" ? "secret" : "key";
  try {
    await navigator.clipboard.writeText(source.textContent);
    text(byId("copy-said"), `The ${what} is copied.`);
  } catch {
    // Without a secure connection a browser lets no script copy.
    getSelection().selectAllChildren(source);
    text(byId("copy-said"), `The ${what} is selected: copy it with Ctrl-C.`);
  }
}

// Revoking

function revoke(key) {
  const dialog = byId("revoke");
  text(byId("revoke-words"), `“${key.label}” stops working at once, everywhere. This cannot be undone.`);
  dialog.onclose = () => dialog.returnValue === "yes" && end(key);
  dialog.returnValue = "";
  dialog.showModal();
}

async function end(key) {
  try {
    await account.revokeKey(key.apiKey);
    text(byId("list-said"), `“${key.label}” is revoked.`);
  } catch (error) {
    text(byId("list-said"), error.message);
  }
  await load();
}

/** Shows the keys, or who must sign in first. */
function follow() {
  const exists = session.exists();
  signin.follow(exists);
  byId("keys-gate").hidden = exists;
  byId("keys-own").hidden = !exists;
  if (exists) load();
  else hideSecret();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  make();
});
form.addEventListener("input", clearFaults);
for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(button));
byId("secret-done").addEventListener("click", hideSecret);
byId("keys-list").prepend(table.node);
table.node.hidden = true;
theme.start(() => {});
session.start(() => {}, follow);
signin.start({ signedIn: follow, signedOut: () => location.reload() });
follow();
