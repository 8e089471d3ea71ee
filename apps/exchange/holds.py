"""What orders hold and what fills cost, in whole atoms of the quote asset.

An atom is the finest part of an asset: 10^-decimals of it. Fees are in millionths (1 basis point is
100). Price × quantity is exact on every market's grid; only fees round, up, and once per order:
the fees of its fills add up to the fee of their sum, so that a hold that covers the whole order
covers any way of filling it.
"""

from decimal import Decimal

MILLION = 10**6


def fee(*, taken: int, made: int, taker_ppm: int, maker_ppm: int) -> int:
    """The fee of an order that filled `taken` atoms as taker and `made` as maker, rounded up."""
    return -(-(taken * taker_ppm + made * maker_ppm) // MILLION)


def needed(notional: int, *, ppm: int) -> int:
    """What a buy of `notional` atoms holds: itself and the larger of its fees, rounded up."""
    return notional - (-notional * ppm // MILLION)


def affordable(left: int, *, taken: int, paid: int, unit: int, ppm: int) -> int:
    """How many more steps of `unit` atoms each a taker may buy with what is `left`, fee included.

    Exact: `taken` atoms cost a `paid` fee that was rounded up, and that part of an atom is still
    there to be used. quote + ceil(x) <= left + paid, just when quote + x is, as all are whole.
    """
    return ((left + paid) * MILLION - taken * ppm) // (unit * (MILLION + ppm))


def ppm(fee_bps: Decimal) -> int:
    """Basis points as millionths."""
    return int(fee_bps * 100)
