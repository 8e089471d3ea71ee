// Amounts stay the strings that the server sent: everything here works on digits, never on floats.

export const THIN = " ";
const MINUS = "−";

/** Sign, integer digits and decimals of a plain decimal string. */
function parts(value) {
  const negative = value.startsWith("-");
  const [whole, decimals = ""] = (negative ? value.slice(1) : value).split(".");
  return { negative, whole: whole.replace(/^0+(?=\d)/, ""), decimals };
}

const isZero = ({ whole, decimals }) => !/[1-9]/.test(whole + decimals);

/** `value` with exactly `places` decimals: more are cut off, fewer are filled with zeros. */
export function cut(value, places) {
  const { negative, whole, decimals } = parts(value);
  const kept = { whole, decimals: decimals.slice(0, places).padEnd(places, "0") };
  const sign = negative && !isZero(kept) ? MINUS : "";
  return sign + group(whole) + (places ? `.${kept.decimals}` : "");
}

/** Integer digits in threes. */
function group(whole) {
  return whole.replace(/\B(?=(\d{3})+$)/g, ",");
}

/** How many decimals an increment such as "0.00100000" allows: 3. */
export function placesOf(increment) {
  return parts(increment).decimals.replace(/0+$/, "").length;
}

/** −1, 0 or 1. */
export function sign(value) {
  const split = parts(value);
  if (isZero(split)) return 0;
  return split.negative ? -1 : 1;
}

/** Orders two decimal strings as numbers. */
export function compare(left, right) {
  const places = Math.max(parts(left).decimals.length, parts(right).decimals.length);
  const difference = scaled(left, places) - scaled(right, places);
  return difference < 0n ? -1 : Number(difference > 0n);
}

function scaled(value, places) {
  const { negative, whole, decimals } = parts(value);
  const digits = BigInt(whole + decimals.padEnd(places, "0"));
  return negative ? -digits : digits;
}

/** "4.705" → "+4.70 %", cut to two places. */
export function percent(value) {
  const shown = cut(value, 2);
  const plus = sign(value) > 0 && /[1-9]/.test(shown) ? "+" : "";
  return `${plus}${shown}${THIN}%`;
}

/** left − right, exactly, with the decimals of the finer one. */
export function subtract(left, right) {
  const places = Math.max(parts(left).decimals.length, parts(right).decimals.length);
  const difference = scaled(left, places) - scaled(right, places);
  const digits = String(difference < 0n ? -difference : difference).padStart(places + 1, "0");
  const at = digits.length - places;
  return (difference < 0n ? "-" : "") + digits.slice(0, at) + (places ? `.${digits.slice(at)}` : "");
}

/** What part of `whole` `part` is, in percent to two places, cut; null where `whole` is zero. */
export function percentOf(part, whole) {
  const places = Math.max(parts(part).decimals.length, parts(whole).decimals.length);
  const base = scaled(whole, places);
  if (base === 0n) return null;
  const hundredths = (scaled(part, places) * 10_000n) / base;
  const digits = String(hundredths < 0n ? -hundredths : hundredths).padStart(3, "0");
  return `${hundredths < 0n ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

const UNITS = ["", "", "M", "B", "T"];

/** A volume short enough for a strip: "1,482.00", "482,193", "48.21M". Never rounded up. */
export function compact(value, places = 6) {
  const { negative, whole, decimals } = parts(value);
  if (isZero({ whole, decimals })) return "0";
  const unit = Math.min(Math.floor((whole.length - 1) / 3), UNITS.length - 1);
  const sign = negative ? MINUS : "";
  if (unit >= 2) {
    const at = whole.length - unit * 3;
    return `${sign}${group(whole.slice(0, at))}.${whole.slice(at, at + 2)}${UNITS[unit]}`;
  }
  if (whole.length > 4) return cut(value, 0);
  return cut(value, Math.min(places, whole === "0" ? 6 : 2));
}

/** "3 s", "12 min", "5 h", "2 d": how long ago, in the largest unit that fits. */
export function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** "12 s ago", or the day where it was longer ago than two days. */
export function since(moment, now) {
  return now - moment < 172_800_000 ? `${age(now - moment)} ago` : `on ${stamp(moment).slice(0, 10)}`;
}

/** "1:02:03" or "02:03" until a moment. */
export function countdown(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const days = Math.floor(seconds / 86_400);
  if (days > 1) return `${days} d`;
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const tail = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return hours ? `${hours}:${tail}` : tail;
}

/** "18:44:03", UTC. */
export function clock(ms) {
  return new Date(ms).toISOString().slice(11, 19);
}

/** "2026-11-23 18:44 UTC". */
export function stamp(ms) {
  return `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
