// Bars as a file: the fields of /api/v3/klines, digit for digit.

const COLUMNS = [
  "open_time",
  "open",
  "high",
  "low",
  "close",
  "volume",
  "close_time",
  "quote_volume",
  "trades",
  "taker_buy_base_volume",
  "taker_buy_quote_volume",
];

/** The text of a file with these rows of /api/v3/klines; their twelfth field means nothing. */
export function csv(rows) {
  const lines = [COLUMNS, ...rows.map((row) => row.slice(0, COLUMNS.length))];
  return lines.map((fields) => `${fields.join(",")}\r\n`).join("");
}

/** "XRPETH-15m-20191011T0000Z-20191011T2345Z.csv": the open times of the first and last bar, UTC. */
export function fileName({ symbol, interval, from, to }) {
  return `${symbol}-${interval}-${compact(from)}-${compact(to)}.csv`;
}

const compact = (ms) => `${new Date(ms).toISOString().slice(0, 16).replace(/[-:]/g, "")}Z`;
