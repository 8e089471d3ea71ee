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
  byId("signout").addEventListener("click", async () => {
    await session.signOut();
    signedOut();
  });
}

/** Follows the connection: asks where it needs a name, offers the way out where there is one. */
export function follow(state) {
  byId("signout").hidden = !session.exists();
  if (state === "out") show();
  else if (state === "live" && dialog.open) dialog.close();
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
