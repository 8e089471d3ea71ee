// The bars in view as a file, asked of the server anew so that it says what the server says.

import * as api from "./api.js";
import * as chart from "./chart.js";
import { csv, fileName } from "./csv.js";
import { byId, el } from "./dom.js";
import * as foot from "./foot.js";
import { selection } from "./state.js";

const PAGE = 1000; // the most that one answer holds
const SAID_MS = 8_000;
const RUNNING_MS = 60_000; // longer than one answer may take

const button = byId("download");

/** Wires the button. */
export function start() {
  button.addEventListener("click", run);
}

async function run() {
  if (button.ariaBusy === "true") return;
  const range = chart.visible();
  if (!range) return foot.tell("There are no bars in view to export.", SAID_MS);
  const wish = { symbol: selection.symbol, ...range };
  button.ariaBusy = "true";
  try {
    const rows = await collect(wish);
    const name = fileName({ ...wish, from: rows[0][0], to: rows.at(-1)[0] });
    save(name, csv(rows));
    foot.tell(`Exported ${counted(rows.length)}: ${name}`, SAID_MS);
  } catch (error) {
    foot.tell(`Not exported: ${error.message} Press CSV to try again.`, SAID_MS);
  } finally {
    button.ariaBusy = "false";
  }
}

const counted = (count) => `${count.toLocaleString("en-GB")} ${count === 1 ? "bar" : "bars"}`;

/** The rows of every bar that opens in [from, to]. */
async function collect({ symbol, interval, from, to, count }) {
  const rows = [];
  let page;
  do {
    foot.tell(`Exporting ${rows.length ? `${rows.length.toLocaleString("en-GB")} of ` : ""}${counted(count)} …`, RUNNING_MS);
    const startTime = rows.length ? rows.at(-1)[0] + 1 : from;
    page = await api.klines({ symbol, interval, startTime, endTime: to, limit: PAGE });
    rows.push(...page);
  } while (page.length === PAGE && rows.at(-1)[0] < to);
  if (!rows.length) throw new api.ApiError("The server has no bars of this time any more.");
  return rows;
}

function save(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), SAID_MS);
}
