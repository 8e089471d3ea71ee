// The sign-in: a dialog where the server asks who reads, and the way out.

import { byId, text } from "./dom.js";
import * as session from "./session.js";

const dialog = byId("signin");

/** Wires the dialog: `signedIn()` and `signedOut()` follow what was done. */
export function start({ signedIn, signedOut }) {
  byId("signin-form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit(signedIn);
  });
  for (const button of document.querySelectorAll("[data-signin]")) button.addEventListener("click", show);
  byId("signin-close").addEventListener("click", () => dialog.close());
  byId("signout").addEventListener("click", async () => {
    await session.signOut();
    signedOut();
  });
}

/** Offers the way out where somebody is signed in, else the way in. */
export function follow(exists) {
  const out = byId("signout");
  out.hidden = !exists;
  out.title = session.name() ? `Sign out ${session.name()}` : "Sign out";
  const keys = byId("keys-link");
  if (keys) keys.hidden = !exists;
  byId("signin-open").hidden = exists;
}

export function show() {
  if (!dialog.open) dialog.showModal();
}

async function submit(signedIn) {
  const [name, password, button] = [byId("signin-name"), byId("signin-password"), byId("signin-button")];
  button.disabled = true;
  const refusal = await session.signIn(name.value, password.value);
  button.disabled = false;
  text(byId("signin-error"), refusal);
  if (refusal) return password.select();
  password.value = "";
  dialog.close();
  signedIn();
}
