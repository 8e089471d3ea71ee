// What the page knows: markets with their tickers, the selected one, and the link to the server.

import { compare, percentOf, placesOf, subtract } from "./format.js";

/** Markets by symbol; `told` is the newest ticker that arrived, `ticker` that with the last price since; null until one did. */
export const markets = new Map();

export const selection = { symbol: null, interval: "15m" };

/** `down` from the moment the connection is lost until what was missed has been asked for. */
export const link = { state: "connecting", down: false, since: null };

let offset = null; // server clock − this clock; the least delayed message tells it best

/** Learns the server's clock from a message's timestamp. */
export function hearClock(timestamp) {
  const heard = timestamp - Date.now();
  offset = offset === null ? heard : Math.max(heard, offset);
}

/** The server's time now, ms. */
export const now = () => Date.now() + (offset ?? 0);

/** Takes /api/v3/exchangeInfo. */
export function takeMarkets(info) {
  for (const entry of info.symbols) {
    const filters = Object.fromEntries(entry.filters.map((filter) => [filter.filterType, filter]));
    const market = known(entry.symbol);
    Object.assign(market, {
      base: entry.baseAsset,
      quote: entry.quoteAsset,
      status: entry.status,
      label: entry.label ?? market.label,
      pricePlaces: placesOf(filters.PRICE_FILTER?.tickSize ?? "0.00000001"),
      quantityPlaces: placesOf(filters.LOT_SIZE?.stepSize ?? "0.00000001"),
      tick: filters.PRICE_FILTER?.tickSize ?? "0.00000001",
      step: filters.LOT_SIZE?.stepSize ?? "0.00000001",
      maxQuantity: filters.LOT_SIZE?.maxQty ?? null,
      maxMarketQuantity: filters.MARKET_LOT_SIZE?.maxQty ?? null,
      minNotional: filters.NOTIONAL?.minNotional ?? null,
      baseDecimals: entry.baseAssetPrecision ?? 8,
      quoteDecimals: entry.quoteAssetPrecision ?? 8,
      collarBps: entry.collarBps ?? null,
      takesOrders: entry.isSpotTradingAllowed !== false,
    });
  }
}

/** Takes a ticker; null where it is older than the known one, else the market. */
export function takeTicker(ticker) {
  const market = known(ticker.symbol);
  if (market.ticker && ticker.asOf < market.ticker.asOf) return null;
  market.before = market.ticker;
  market.told = ticker;
  market.ticker = moved(ticker, market.trade);
  market.status = ticker.status ?? market.status;
  market.label = ticker.label ?? market.label;
  return market;
}

/** Moves the last price on with a trade; tickers come every few seconds, trades at once. */
export function takeTrade(trade) {
  const market = known(trade.symbol);
  if (trade.id <= (market.tradeId ?? 0)) return;
  market.tradeId = trade.id;
  market.trade = trade;
  if (!market.ticker) return;
  market.before = market.ticker;
  market.ticker = moved(market.ticker, trade);
}

/** A trade stands no longer; `newest` is the newest one that does, null where none is known. */
export function withdrawTrade({ symbol, id }, newest) {
  const market = known(symbol);
  if (market.trade?.id === id) restate(market, newest);
}

/** A trade's price is another one. */
export function correctTrade(trade) {
  const market = known(trade.symbol);
  if (market.trade?.id === trade.id) restate(market, trade);
}

// The ticker as it was told may still hold the former price: its own correction follows.
function restate(market, trade) {
  market.trade = trade;
  if (!market.ticker) return;
  market.before = market.ticker;
  market.ticker = trade ? priced(market.told, trade.price) : market.told;
}

// The newer of both: a ticker does not know the trades that came after it was computed.
function moved(ticker, trade) {
  return !trade || trade.time <= ticker.asOf ? ticker : priced(ticker, trade.price);
}

function priced(ticker, last) {
  if (!ticker.open) return { ...ticker, last };
  const change = subtract(last, ticker.open);
  return { ...ticker, last, change, changePercent: percentOf(change, ticker.open) };
}

/** Takes rows of /api/v3/ticker/24hr for markets of which nothing fresher is known. */
export function takeDayTickers(rows) {
  for (const row of rows) {
    if (known(row.symbol).ticker) continue;
    const traded = row.count > 0 || row.lastId >= 0;
    takeTicker({
      symbol: row.symbol,
      last: traded ? row.lastPrice : null,
      high: traded ? row.highPrice : null,
      low: traded ? row.lowPrice : null,
      changePercent: traded ? row.priceChangePercent : null,
      change: traded ? row.priceChange : null,
      baseVolume: row.volume,
      quoteVolume: row.quoteVolume,
      tradeCount: row.count,
      asOf: 0,
    });
  }
}

function known(symbol) {
  if (!markets.has(symbol)) {
    markets.set(symbol, { symbol, ticker: null, told: null, before: null, label: "", status: "", closes: [] });
  }
  return markets.get(symbol);
}

export const selected = () => markets.get(selection.symbol);

/** "XRP/ETH" where the assets are known. */
export const pair = (market) => (market.base ? `${market.base}/${market.quote}` : market.symbol);

/** Which way the last price moved with the newest ticker: −1, 0, 1. */
export function movement(market) {
  const { ticker, before } = market;
  return ticker?.last && before?.last ? compare(ticker.last, before.last) : 0;
}

/** Whether the market's time goes on without trades. */
export const isTrading = (market) => market?.status === "TRADING";
