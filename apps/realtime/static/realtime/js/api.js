// The public part of the HTTP interface.

const TIMEOUT_MS = 10_000;

/** A request that did not bring what was asked for; the message is for a person. */
export class ApiError extends Error {}

/** The JSON at `path`. Throws ApiError; an aborted `signal` throws AbortError. */
export async function get(path, { signal } = {}) {
  let response;
  try {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    response = await fetch(path, {
      headers: { Accept: "application/json" },
      credentials: "omit",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(
      error.name === "TimeoutError" ? "The server took longer than 10 s to answer." : "The server cannot be reached.",
    );
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  throw new ApiError(body?.msg ?? body?.message ?? `The server answered with status ${response.status}.`);
}

const v3 = (path, query = {}) => `/api/v3/${path}?${new URLSearchParams(query)}`;

export const klines = (query, options) => get(v3("klines", query), options);
export const exchangeInfo = () => get(v3("exchangeInfo"));
export const dayTickers = () => get(v3("ticker/24hr"));
