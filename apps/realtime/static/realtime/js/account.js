// The signed-in part of the HTTP interface. A refusal is final and carries the server's sentence;
// a failure leaves open whether the request was carried out.

import * as session from "./session.js";

const TIMEOUT_MS = 10_000;
const BUSY = new Set([-1000, -1001, -1006, -1007]); // the server itself does not know

/** The server's no: nothing was done. */
export class Refusal extends Error {
  constructor(code, message, status) {
    super(message);
    Object.assign(this, { code, status });
  }
}

/** No answer, or none that says what happened. */
export class Unknown extends Error {}

/** Nobody is signed in any more. */
export class SignedOut extends Error {
  constructor() {
    super("You are signed out. Sign in again to go on.");
  }
}

/** The JSON answer to a request with the reader's token. Throws Refusal, Unknown or SignedOut. */
export async function ask(method, path, { query = {}, form = null, json = null } = {}) {
  const token = await tokenOf();
  const sent = await send(method, path, { query, form, json, token });
  if (sent.status !== 401) return answered(sent);
  session.drop(); // it ended before its time: once more, with a new one
  return answered(await send(method, path, { query, form, json, token: await tokenOf() }));
}

async function tokenOf() {
  let token;
  try {
    token = await session.token();
  } catch (error) {
    throw new Refusal(0, error.message, 0); // nothing was sent
  }
  if (!token) throw new SignedOut();
  return token;
}

async function send(method, path, { query, form, json, token }) {
  const search = new URLSearchParams(query).toString();
  const headers = { Accept: "application/json", Authorization: `Bearer ${token}` };
  if (json) headers["Content-Type"] = "application/json";
  try {
    const response = await fetch(search ? `${path}?${search}` : path, {
      method,
      headers,
      body: form ? new URLSearchParams(form) : json && JSON.stringify(json),
      credentials: "omit",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return { status: response.status, body: await response.json().catch(() => null) };
  } catch (error) {
    throw new Unknown(error.name === "TimeoutError" ? "The server took longer than 10 s to answer." : "The server cannot be reached.");
  }
}

function answered({ status, body }) {
  if (status < 400 && body !== null) return body;
  const sentence = body?.msg ?? body?.message ?? `The server answered with status ${status}.`;
  if (status === 401) throw new SignedOut();
  if (status >= 500 || body === null || BUSY.has(body.code)) throw new Unknown(sentence);
  throw new Refusal(body.code, sentence, status);
}

const V3 = "/api/v3";
const KEYS = "/api/v1/api-keys";

export const account = () => ask("GET", `${V3}/account`);
export const place = (form) => ask("POST", `${V3}/order`, { form });
export const order = (query) => ask("GET", `${V3}/order`, { query });
export const cancel = (query) => ask("DELETE", `${V3}/order`, { query });
export const cancelAll = (symbol) => ask("DELETE", `${V3}/openOrders`, { query: { symbol } });
export const pastOrders = (symbol, limit) => ask("GET", `${V3}/allOrders`, { query: { symbol, limit } });
export const pastFills = (symbol, limit) => ask("GET", `${V3}/myTrades`, { query: { symbol, limit } });
export const keys = () => ask("GET", KEYS);
export const createKey = (json) => ask("POST", KEYS, { json });
export const revokeKey = (key) => ask("DELETE", `${KEYS}/${encodeURIComponent(key)}`);
