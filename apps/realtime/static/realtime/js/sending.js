// Placing an order so that it is placed once: its id is made here, and where an answer is lost the
// server is asked what became of it before anything is said.

import * as account from "./account.js";

const NO_SUCH_ORDER = -2013;
const DUPLICATE = "Duplicate order sent.";
const PAUSES_MS = [500, 1000, 2000, 4000, 8000];

/** An id that no other order of this user has. */
export function makeId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `web_${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/**
 * Sends an order; resolves to {order} as the server has it, {order: null} where it certainly did
 * not arrive, or {unknown: true}. Throws Refusal with the server's sentence. `waiting()` is called
 * when an answer is lost and the server is asked again.
 */
export async function place(form, { waiting = () => {}, pause = sleep } = {}) {
  try {
    return { order: await account.place({ ...form, newOrderRespType: "FULL" }) };
  } catch (error) {
    const lost = error instanceof account.Unknown;
    // Refused as a second one: the first, whose answer was lost, had arrived.
    if (!lost && error.message !== DUPLICATE) throw error;
    waiting();
    return found(form, pause);
  }
}

/** What became of an order, by the id that it was sent with. */
export async function found({ symbol, newClientOrderId }, pause = sleep) {
  for (const wait of PAUSES_MS) {
    await pause(wait);
    try {
      return { order: await account.order({ symbol, origClientOrderId: newClientOrderId }) };
    } catch (error) {
      if (error.code === NO_SUCH_ORDER) return { order: null };
      if (!(error instanceof account.Unknown)) throw error;
    }
  }
  return { unknown: true };
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
