// The reader's balances: what is free, what orders hold, and both together.

import { trim } from "./amounts.js";
import { text } from "./dom.js";
import { compare, sign } from "./format.js";
import { balances, own } from "./own.js";
import { shown } from "./draft.js";
import { Table } from "./table.js";

const PLACES = 2;

const amount = (name, title) => ({
  name,
  title,
  right: true,
  flash: true,
  order: (left, right) => compare(left[name], right[name]),
  draw: (cell, row) => {
    cell.classList.toggle("quiet", sign(row[name]) === 0);
    return text(cell, shown(trim(row[name]), PLACES), row[name]);
  },
});

export const table = new Table({
  caption: "Balances",
  key: (row) => row.asset,
  columns: [
    { name: "asset", title: "Asset", order: (left, right) => (left.asset < right.asset ? -1 : 1), draw: (cell, row) => text(cell, row.asset) && false },
    amount("available", "Free"),
    amount("held", "Held"),
    amount("balance", "Total"),
  ],
});

export const rows = balances;
export const ready = () => own.ready.balances;
export const empty = () => "No balance yet. Deposits and what you buy stand here.";
