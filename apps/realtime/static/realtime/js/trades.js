// The last trades of one market, newest first, never with a hidden hole.

const SHOWN = 100;
const KEPT = 400;

export class Trades {
  #byId = new Map();
  #fresh = new Set();

  /** Takes a trade; one that is known adds nothing. Numbers are the market's, without a gap. */
  add(trade) {
    if (this.#byId.has(trade.id)) return;
    this.#byId.set(trade.id, trade);
    this.#fresh.add(trade.id);
    if (this.#byId.size > KEPT) this.#byId = new Map(this.#sorted().slice(0, SHOWN).map((row) => [row.id, row]));
  }

  /** The newest trades in an unbroken run: what lies below a missing number waits until it came. */
  get rows() {
    const sorted = this.#sorted();
    const hole = sorted.findIndex((row, at) => at > 0 && sorted[at - 1].id !== row.id + 1);
    return sorted.slice(0, hole < 0 ? SHOWN : Math.min(hole, SHOWN));
  }

  /** The ids that came since this was last asked. */
  takeFresh() {
    const fresh = this.#fresh;
    this.#fresh = new Set();
    return fresh;
  }

  #sorted() {
    return [...this.#byId.values()].sort((left, right) => right.id - left.id);
  }
}
