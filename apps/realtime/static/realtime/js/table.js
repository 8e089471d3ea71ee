// A table whose rows come and go: sorted by a click, and it keeps its place while they do.

import { arrange, el, flash } from "./dom.js";

const classOf = ({ name, right }) => (right ? `right ${name}` : name);

/**
 * `columns`: [{name, title, short (where a row is a card), right, order(left, right), draw(cell, row) → whether it changed, flash}];
 * `key(row)` tells rows apart; `mark(row)` names what sets one apart, where something does. Without a chosen column rows stand as they are given.
 */
export class Table {
  #rows = new Map();
  #chosen = null;
  #down = true;
  #last = [];

  constructor({ columns, key, caption, mark = () => null }) {
    Object.assign(this, { columns, key, mark });
    this.body = el("tbody");
    const heads = columns.map((column) => this.#head(column));
    this.node = el("table", { class: "rows" }, el("caption", { class: "hidden" }, caption), el("thead", {}, el("tr", {}, ...heads)), this.body);
  }

  #head(column) {
    const attributes = { scope: "col", class: classOf(column) };
    if (!column.order) return el("th", attributes, column.title ? column.title : el("span", { class: "hidden" }, column.spoken));
    const button = el("button", { type: "button" }, column.title);
    button.addEventListener("click", () => this.#sortBy(column, button));
    return el("th", { ...attributes, "aria-sort": "none" }, button);
  }

  #sortBy(column, button) {
    this.#down = this.#chosen === column ? !this.#down : true;
    this.#chosen = column;
    for (const other of this.node.querySelectorAll("th button")) delete other.dataset.direction;
    for (const head of this.node.querySelectorAll("th[aria-sort]")) head.ariaSort = "none";
    button.dataset.direction = this.#down ? "down" : "up";
    button.closest("th").ariaSort = this.#down ? "descending" : "ascending";
    this.draw(this.#last);
  }

  /** Shows these rows; what is known of a row stays, what changed in it lights up. */
  draw(rows) {
    this.#last = rows;
    const wanted = this.#sorted(rows).map((row) => this.#drawRow(row));
    const kept = new Set(rows.map((row) => String(this.key(row))));
    for (const key of this.#rows.keys()) if (!kept.has(key)) this.#rows.delete(key);
    const scroll = this.node.closest(".scroll");
    const anchor = scroll?.scrollTop > 0 ? this.body.firstElementChild : null;
    const before = anchor?.offsetTop;
    arrange(this.body, wanted);
    if (anchor?.isConnected) scroll.scrollTop += anchor.offsetTop - before;
  }

  #sorted(rows) {
    if (!this.#chosen) return rows;
    const sorted = [...rows].sort(this.#chosen.order);
    return this.#down ? sorted.reverse() : sorted;
  }

  #drawRow(row) {
    const key = String(this.key(row));
    const held = this.#rows.get(key);
    const node = held ?? this.#newRow(key);
    if (this.mark(row)) node.dataset.mark = this.mark(row);
    else delete node.dataset.mark;
    for (const [at, column] of this.columns.entries()) {
      const cell = node.children[at];
      if (column.draw(cell, row) && held && column.flash) flash(cell);
    }
    return node;
  }

  #newRow(key) {
    const cells = this.columns.map((column) =>
      el("td", { class: classOf(column), "data-title": column.short ?? column.title ?? "" }),
    );
    const node = el("tr", { "data-key": key }, ...cells);
    this.#rows.set(key, node);
    return node;
  }
}
