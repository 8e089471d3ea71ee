// The last trades of one market, newest first, never with a hidden hole.

/** What a trade is marked with that is not what it was. */
export const BUSTED = "busted";
export const CORRECTED = "corrected";

/** A trade.busted message as what the trade is marked with, and as it stands, or stood, now. */
export function amended(trade) {
  if (!trade.newPrice) return [trade, BUSTED];
  const { price: previousPrice, quantity: previousQuantity, bustedAt: correctedAt } = trade;
  const { newPrice: price, newQuantity: quantity = trade.quantity, newQuoteQuantity: quoteQuantity, newFee: fee } = trade;
  return [{ ...trade, price, quantity, quoteQuantity, fee, previousPrice, previousQuantity, correctedAt }, CORRECTED];
}

const SHOWN = 100;
const KEPT = 400;

export class Trades {
  #byId = new Map();
  #fresh = new Set();
  #below = new Map(); // id → the next one that stands, where a snapshot said so
  #last = null; // the snapshot's trade before

  /** Takes a trade; one that is known adds nothing. Numbers are the market's, without a gap. */
  add(trade) {
    if (this.#byId.has(trade.id)) return;
    this.#byId.set(trade.id, trade);
    this.#fresh.add(trade.id);
    if (this.#byId.size > KEPT) this.#forget();
  }

  /** A snapshot follows, oldest first. */
  begin() {
    this.#last = null;
  }

  /** Takes the next trade of a snapshot: what stood between it and the one before stands no longer. */
  addNext(trade) {
    const last = this.#last ?? trade.id;
    for (const { id, mark } of [...this.#byId.values()]) if (!mark && last < id && id < trade.id) this.#byId.delete(id);
    this.#below.set(trade.id, last);
    this.#last = trade.id;
    const held = this.#byId.get(trade.id);
    if (!held) this.add(trade);
    else if (held.price !== trade.price || held.quantity !== trade.quantity) this.#byId.set(trade.id, trade);
  }

  /** Marks a trade as withdrawn, or takes what it became; false where it is not known. */
  change(trade, mark) {
    const held = this.#byId.get(trade.id);
    if (!held) return false;
    this.#byId.set(trade.id, { ...held, ...trade, mark });
    this.#fresh.add(trade.id);
    return true;
  }

  /** The newest trades in an unbroken run: what lies below a missing number waits until it came. */
  get rows() {
    const sorted = this.#sorted();
    const hole = sorted.findIndex((row, at) => at > 0 && !this.#follows(sorted[at - 1].id, row.id));
    return sorted.slice(0, hole < 0 ? SHOWN : Math.min(hole, SHOWN));
  }

  /** The newest trade that stands; null where none is known. */
  get newest() {
    return this.rows.find((row) => row.mark !== BUSTED) ?? null;
  }

  /** The ids that came or changed since this was last asked. */
  takeFresh() {
    const fresh = this.#fresh;
    this.#fresh = new Set();
    return fresh;
  }

  #follows(id, lower) {
    return id === lower + 1 || this.#below.get(id) <= lower;
  }

  #forget() {
    this.#byId = new Map(this.#sorted().slice(0, SHOWN).map((row) => [row.id, row]));
    for (const id of this.#below.keys()) if (!this.#byId.has(id)) this.#below.delete(id);
  }

  #sorted() {
    return [...this.#byId.values()].sort((left, right) => right.id - left.id);
  }
}
