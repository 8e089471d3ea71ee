// Who reads: the access token lives in memory, the refresh token in a cookie that no script sees.

import { recall, remember } from "./remembered.js";

const PATH = "/api/v1/auth/";
const EARLY_S = 90; // before the server's own notice, a minute ahead of the end
let access = null;
let endsAt = 0;
let timer = null;
let onRenewed = () => {};
let onEnded = () => {};

/** Calls `renewed(token)` each time a token was replaced before its end, `ended()` when there is no session any more. */
export function start(renewed, ended = () => {}) {
  onRenewed = renewed;
  onEnded = ended;
}

export const exists = () => recall("session") === "1";

/** The name that was signed in with, to be shown. */
export const name = () => recall("name") ?? "";

/** An access token; null where nobody is signed in. Throws where the server cannot be asked. */
export async function token() {
  if (access && Date.now() < endsAt) return access;
  return exists() ? alone(renew) : null;
}

/** The access token is of no more use: the next one is asked for. */
export function drop() {
  access = null;
}

/** Signs in; returns the sentence to show, or an empty one. */
export async function signIn(username, password) {
  try {
    const { ok, body } = await post("token", { username, password, cookie: true });
    if (ok) {
      keep(body);
      remember("name", username);
    }
    return ok ? "" : (body.message ?? "The server refused the sign-in. Try again.");
  } catch (error) {
    return error.message;
  }
}

/** Ends the sign-in, here and on the server. */
export async function signOut() {
  forget();
  await alone(() => post("logout", {})).catch(() => {}); // unreached, the cookie ends by itself
}

// A refresh token is good once: two tabs that used the same one would end the sign-in.
const alone = (work) => (navigator.locks ? navigator.locks.request("moonx.session", work) : work());

async function renew() {
  const { ok, status, body } = await post("refresh", {});
  if (ok) return keep(body);
  if (status !== 401 && status !== 403) throw new Error(body.message ?? "The sign-in could not be renewed.");
  forget();
  onEnded();
  return null;
}

function keep({ access: given, expiresIn }) {
  const life = Math.max(5, expiresIn - EARLY_S) * 1000;
  access = given;
  endsAt = Date.now() + life;
  remember("session", "1");
  clearTimeout(timer);
  timer = setTimeout(() => alone(renew).then((next) => next && onRenewed(next)).catch(() => {}), life);
  return access;
}

function forget() {
  access = null;
  clearTimeout(timer);
  remember("session", "0");
}

async function post(name, data) {
  let response;
  try {
    response = await fetch(PATH + name, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(data),
      signal: AbortSignal.timeout(10_000),
    });
  } catch {
    throw new Error("The server cannot be reached. Try again.");
  }
  const body = (await response.json().catch(() => null)) ?? {};
  return { ok: response.ok, status: response.status, body };
}
