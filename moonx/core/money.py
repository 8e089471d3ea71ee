"""Exact amounts: Decimal under a wide context, refused instead of rounded."""

import re
from decimal import (
    ROUND_FLOOR,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DecimalException,
    Inexact,
    InvalidOperation,
    Overflow,
)

# 2^256 has 78 digits; products of two amounts must stay exact.
EXACT = Context(prec=200, traps=[Inexact, InvalidOperation, Overflow])
# For quotients that are rounded by the next operation.
WIDE = Context(prec=200)
MAX_DIGITS, SCALE = 78, 18
LARGEST = Decimal(10) ** (MAX_DIGITS - SCALE - 2)  # sums of such amounts still fit a column
PLAIN = re.compile(r"[0-9]{1,60}(\.[0-9]{1,40})?", re.ASCII)


class MoneyError(ValueError):
    """An amount that cannot be represented exactly, or is not an amount."""


def parse(text: object, *, what: str = "amount") -> Decimal:
    """The non-negative decimal that `text` spells in plain digits (no sign, no exponent).

    Floats, NaN, infinities, signs, exponents and digits of other scripts raise MoneyError.
    """
    if isinstance(text, bool | float) or not isinstance(text, str | int | Decimal):
        raise MoneyError(f"{what} must be a decimal string, not {type(text).__name__}")
    spelled = format(text, "f") if isinstance(text, Decimal) and text.is_finite() else str(text)
    if not PLAIN.fullmatch(spelled):
        raise MoneyError(f"{what} must be a plain decimal like 12.5, not {spelled[:40]!r}")
    return Decimal(spelled)


def product(price: Decimal, quantity: Decimal) -> Decimal:
    """price × quantity, exactly; MoneyError where it has more than 18 decimal places."""
    value = EXACT.multiply(price, quantity)
    if decimals(value) > SCALE:
        raise MoneyError(f"{price} × {quantity} has more than {SCALE} decimal places")
    return value


def decimals(value: Decimal) -> int:
    """How many decimal places `value` needs: 0.010 needs 2."""
    exponent = EXACT.normalize(value).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def on_grid(value: Decimal, *, step: Decimal) -> bool:
    """Whether `value` is a whole multiple of `step`."""
    return EXACT.remainder(value, step) == 0


def floor_to(value: Decimal, *, places: int) -> Decimal:
    """`value` cut, not rounded, to `places` decimal places."""
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_FLOOR, context=WIDE)


def plain(value: Decimal, *, places: int | None = None) -> str:
    """`value` without exponent: with exactly `places` decimals, or as few as it needs.

    Raises MoneyError where `places` would cut digits.
    """
    if places is None:
        places = decimals(value)
    try:
        return format(EXACT.quantize(value, Decimal(1).scaleb(-places)), "f")
    except DecimalException:
        raise MoneyError(f"{value} needs more than {places} decimal places") from None


def shown(value: Decimal | None, *, places: int) -> str | None:
    """As `plain`, null staying null."""
    return None if value is None else plain(value, places=places)


def signed(value: Decimal, *, places: int) -> str:
    """As `plain`, for differences: zero has no sign."""
    return plain(value or Decimal(0), places=places)


def divide(numerator: Decimal, denominator: Decimal, *, places: int) -> Decimal:
    """The quotient rounded half up to `places` decimals, for display only."""
    quotient = WIDE.divide(numerator, denominator)
    return quotient.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP, context=WIDE)
