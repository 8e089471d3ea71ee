// Exact arithmetic on amounts: whole numbers of the finest part that occurs, never floats.

const power = (places) => 10n ** BigInt(places);

/** The digits of a plain decimal string as a whole number, and how many of them are decimals. */
function read(value) {
  const negative = value.startsWith("-");
  const [whole, decimals = ""] = (negative ? value.slice(1) : value).split(".");
  const digits = BigInt(whole + decimals || "0");
  return { digits: negative ? -digits : digits, places: decimals.length };
}

/** The value in parts of 10^−places, of which it has no finer ones. */
export const at = (value, places) => {
  const { digits, places: held } = read(value);
  return digits * power(places - held);
};

/** So many parts of 10^−places as a plain decimal string. */
export function write(digits, places) {
  const text = String(digits < 0n ? -digits : digits).padStart(places + 1, "0");
  const point = text.length - places;
  return (digits < 0n ? "-" : "") + text.slice(0, point) + (places ? `.${text.slice(point)}` : "");
}

const finer = (left, right) => Math.max(read(left).places, read(right).places);

/** Rounds a quotient of positive whole numbers up. */
const up = (part, whole) => (part + whole - 1n) / whole;

export function add(left, right) {
  const places = finer(left, right);
  return write(at(left, places) + at(right, places), places);
}

/** left × right, exactly, without needless zeros. */
export function times(left, right) {
  const [one, other] = [read(left), read(right)];
  return trim(write(one.digits * other.digits, one.places + other.places));
}

/** value × rate, rounded up to `places` decimals: what a fee may come to. */
export function share(value, rate, places) {
  const [one, other] = [read(value), read(rate)];
  const exact = one.places + other.places;
  const digits = one.digits * other.digits;
  if (exact <= places) return write(digits * power(places - exact), places);
  return write(up(digits, power(exact - places)), places);
}

/** The fee inside `value` where value = amount × (1 + rate), rounded up to `places` decimals. */
export function shareInside(value, rate, places) {
  const { digits, places: held } = read(rate);
  const finest = Math.max(places, read(value).places);
  const fee = up(at(value, finest) * digits, power(held) + digits);
  return write(up(fee, power(finest - places)), places);
}

/** `percent` hundredths of a value, exactly. */
export function partOf(value, percent) {
  const { digits, places } = read(value);
  return trim(write(digits * BigInt(percent), places + 2));
}

/** The largest multiple of `step` that is at most `value`. */
export function floorTo(value, step) {
  const places = finer(value, step);
  const unit = at(step, places);
  return trim(write((at(value, places) / unit) * unit, places));
}

/** The smallest multiple of `step` that is at least `value`. */
export function ceilTo(value, step) {
  const places = finer(value, step);
  const unit = at(step, places);
  return trim(write(up(at(value, places), unit) * unit, places));
}

export function isMultiple(value, step) {
  const places = finer(value, step);
  const unit = at(step, places);
  return unit === 0n || at(value, places) % unit === 0n;
}

/** dividend / divisor, cut to a multiple of `step`. */
export function quotient(dividend, divisor, step) {
  const [over, under, unit] = [read(dividend), read(divisor), read(step)];
  if (under.digits === 0n) return "0";
  // over/under in steps: scale both sides until only whole numbers are left.
  const steps = (over.digits * power(under.places + unit.places)) / (under.digits * unit.digits * power(over.places));
  return trim(write(steps * unit.digits, unit.places));
}

/** "1.500" → "1.5", "2.000" → "2". */
export function trim(value) {
  return value.includes(".") ? value.replace(/\.?0+$/, "") : value;
}
