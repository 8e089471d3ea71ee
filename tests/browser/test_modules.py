"""The page's own rules, run by Node: decimals, drafts, the book, intervals; and its colours."""

import re
from decimal import ROUND_CEILING, ROUND_DOWN, Context, Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from moonx.core.intervals import Interval, from_ms, to_ms
from tests.browser.modules import STATIC, run

SEED = 20191011
EXACT = Context(prec=120)


def amounts(count: int) -> list[str]:
    """Decimal strings of every size and sign, as the server writes them."""
    random = Random(SEED)  # noqa: S311
    found = ["0", "-0.00000001", "0.00000000", "1000000", "999999.99999999", "-1234567.1"]
    for _ in range(count):
        digits = str(random.randrange(10 ** random.randrange(1, 40)))
        places = random.randrange(0, 19)
        text = f"{digits}.{random.randrange(10**places):0{places}d}" if places else digits
        found.append(random.choice(["", "-"]) + text)
    return found


def plain(shown: str) -> str:
    """A shown amount without its grouping, its minus as ASCII."""
    return shown.replace(",", "").replace("\N{MINUS SIGN}", "-")


def test_an_amount_is_cut_to_its_places_as_decimal_would() -> None:
    cases = [[value, places] for value in amounts(400) for places in (0, 2, 8)]
    shown = run("format", "return given.map(([v, p]) => m.cut(v, p));", cases)
    for (value, places), text in zip(cases, shown, strict=True):
        exact = Decimal(str(value)).quantize(
            Decimal(1).scaleb(-int(places)), ROUND_DOWN, context=EXACT
        )
        expected = format(abs(exact) if exact == 0 else exact, "f")
        assert plain(text) == expected, (value, places)
        assert re.fullmatch(r"\N{MINUS SIGN}?\d{1,3}(,\d{3})*(\.\d+)?", text)


def test_amounts_are_compared_and_subtracted_as_decimal_would() -> None:
    values = amounts(200)
    pairs = list(zip(values, reversed(values), strict=True))
    found = run(
        "format", "return given.map(([a, b]) => [m.compare(a, b), m.subtract(a, b)]);", pairs
    )
    for (left, right), (order, difference) in zip(pairs, found, strict=True):
        assert order == int(Decimal(left).compare(Decimal(right)))
        assert Decimal(difference) == EXACT.subtract(Decimal(left), Decimal(right))


def test_sums_and_products_are_exact_whatever_their_size() -> None:
    values = [value.lstrip("-") for value in amounts(120)]
    pairs = list(zip(values, reversed(values), strict=True))
    body = "return given.map(([a, b]) => [m.add(a, b), m.times(a, b)]);"
    for (left, right), (total, product) in zip(pairs, run("amounts", body, pairs), strict=True):
        assert Decimal(total) == EXACT.add(Decimal(left), Decimal(right))
        assert Decimal(product) == EXACT.multiply(Decimal(left), Decimal(right))


def test_a_fee_is_rounded_up_and_grids_are_kept() -> None:
    values = [value.lstrip("-") for value in amounts(120)]
    cases = [[value, rate] for value in values for rate in ("0.001", "0.0005", "0")]
    body = """return given.map(([v, r]) => [m.share(v, r, 6), m.floorTo(v, "0.0025"),
        m.ceilTo(v, "0.0025"), m.isMultiple(v, "0.0025"), m.quotient(v, "3.7", "0.01")]);"""
    step = Decimal("0.0025")
    for (value, rate), found in zip(cases, run("amounts", body, cases), strict=True):
        fee, low, high, fits, parts = found
        exact, asked = Decimal(value), EXACT.multiply(Decimal(value), Decimal(rate))
        assert Decimal(fee) == asked.quantize(Decimal("0.000001"), ROUND_CEILING, context=EXACT)
        assert Decimal(low) == EXACT.multiply(EXACT.divide_int(exact, step), step)
        assert Decimal(high) - Decimal(low) == (0 if fits else step)
        cut = EXACT.divide_int(exact, EXACT.multiply(Decimal("3.7"), Decimal("0.01")))
        assert Decimal(parts) == EXACT.multiply(cut, Decimal("0.01"))


MARKET: dict[str, Any] = {
    "symbol": "ETHUSDC",
    "base": "ETH",
    "quote": "USDC",
    "tick": "0.01000000",
    "step": "0.00010000",
    "pricePlaces": 2,
    "quoteDecimals": 6,
    "minNotional": "5.000000",
    "maxQuantity": "9000000000.0000",
}
DRAFT = {
    "side": "BUY",
    "type": "LIMIT",
    "price": "2000.1",
    "amount": "0.5",
    "stop": "",
    "unit": "base",
    "force": "GTC",
    "lasts": "10",
    "span": "min",
    "until": "",
}
KNOWN = {
    "rates": {"maker": "0.0005", "taker": "0.001"},
    "best": {"bid": "1999.00", "ask": "2000.00"},
    "available": "1000",
    "now": 1_000,
}


def drafted(call: str, changes: dict[str, str]) -> Any:
    """What the rules of a draft make of it."""
    given = {"draft": {**DRAFT, **changes}, "market": MARKET, "known": KNOWN}
    return run("draft", f"const {{draft, market, known}} = given; return {call};", given)


@pytest.mark.parametrize(
    ("changes", "hold", "fee"),
    [
        ({}, "1001.05005 USDC", "1.00005"),
        ({"type": "LIMIT_MAKER"}, "1001.05005 USDC", "0.500025"),
        ({"side": "SELL"}, "0.5 ETH", "1.00005"),
        # It may meet a better price than its own, and the fee follows what it meets.
        ({"side": "SELL", "price": "1000"}, "0.5 ETH", "0.9995"),
        ({"type": "MARKET"}, "1051.05 USDC", "1.05"),
        ({"type": "MARKET", "unit": "quote", "amount": "100"}, "100 USDC", "0.099901"),
        ({"type": "MARKET", "unit": "quote", "amount": "100", "side": "SELL"}, "0.0527 ETH", "0.1"),
    ],
)
def test_a_draft_says_what_it_holds_and_costs(changes: dict[str, str], hold: str, fee: str) -> None:
    found = drafted("m.cost(draft, market, known)", changes)
    assert (f"{found['hold']} {found['asset']}", found["fee"]) == (hold, fee)


def test_a_part_of_a_balance_is_the_most_that_fits_in_it() -> None:
    random = Random(SEED)  # noqa: S311
    prices = [f"{random.randrange(1, 10**6)}.{random.randrange(100):02d}" for _ in range(200)]
    given = {"prices": prices, "draft": DRAFT, "market": MARKET, "known": KNOWN}
    body = """return given.prices.map((price) =>
        m.portion(100, { ...given.draft, price }, given.market, given.known));"""
    for price, amount in zip(prices, run("draft", body, given), strict=True):
        more = Decimal(amount) + Decimal(MARKET["step"])
        assert held(Decimal(price), Decimal(amount)) <= 1000 < held(Decimal(price), more)


def held(price: Decimal, amount: Decimal) -> Decimal:
    """What a buy holds: itself and the larger fee, rounded up."""
    total = EXACT.multiply(price, amount)
    fee = EXACT.multiply(total, Decimal("0.001"))
    return total + fee.quantize(Decimal("0.000001"), ROUND_CEILING, context=EXACT)


def test_a_draft_becomes_the_parameters_of_its_type() -> None:
    call = "m.parameters(draft, market, known.now)"
    assert drafted(call, {"price": " 2 000.10 "}) == {
        "symbol": "ETHUSDC",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "0.5",
        "price": "2000.1",
        "timeInForce": "GTC",
    }
    assert drafted(call, {"type": "MARKET", "unit": "quote", "amount": "100"}) == {
        "symbol": "ETHUSDC",
        "side": "BUY",
        "type": "MARKET",
        "quoteOrderQty": "100",
    }
    timed = drafted(call, {"force": "GTD"})
    assert timed["goodTillDate"] == str(1_000 + 600_000)
    dated = drafted(call, {"force": "GTD", "span": "date", "until": "2026-11-25T12:00"})
    assert dated["goodTillDate"] == "1795608000000"


def test_the_book_is_added_up_and_grouped_away_from_the_spread() -> None:
    body = """return [m.summed(given.asks).map((level) => level.total),
        m.grouped(given.asks, "0.1", "asks"), m.grouped(given.bids, "0.1", "bids"),
        m.spread(given)];"""
    levels = [["100.01", "1"], ["100.02", "2.5"], ["100.11", "1"]]
    book = {"asks": levels, "bids": [["99.99", "1"], ["99.91", "2"], ["99.89", "3"]]}
    assert run("book", body, book) == [
        ["1", "3.5", "4.5"],
        [["100.1", "3.5"], ["100.2", "1"]],
        [["99.9", "3"], ["99.8", "3"]],
        {"width": "0.02", "percent": "0.02"},
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("4.705", "+4.70\u202f%"),
        ("-0.004", "0.00\u202f%"),
        ("0.000", "0.00\u202f%"),
        ("-12.999", "\N{MINUS SIGN}12.99\u202f%"),
    ],
)
def test_a_change_carries_its_sign(value: str, shown: str) -> None:
    text = run("format", "return m.percent(given);", value)
    assert re.sub(r"\s", "\u202f", text) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0.00000000", "0"),
        ("0.00000100", "0.000001"),
        ("1482.5", "1,482.50"),
        ("482193.99", "482,193"),
        ("48219399.9", "48.21M"),
        ("999999999.9", "999.99M"),
        ("12345678901234567", "12,345.67T"),
    ],
)
def test_a_volume_is_short_and_never_rounded_up(value: str, shown: str) -> None:
    assert run("format", "return m.compact(given);", value) == shown


def test_buckets_are_the_servers() -> None:
    random = Random(SEED)  # noqa: S311
    moments = [random.randrange(0, 4_102_444_800_000) for _ in range(200)]
    cases = [[interval.value, moment] for interval in Interval for moment in moments]
    body = "return given.map(([i, t]) => [m.floor(i, t), m.next(i, m.floor(i, t))]);"
    for (name, moment), (start, end) in zip(cases, run("intervals", body, cases), strict=True):
        interval = Interval(str(name))
        floor = interval.floor(from_ms(int(moment)))
        assert (start, end) == (to_ms(floor), to_ms(interval.shift(floor, 1)))


def tokens(block: str) -> dict[str, str]:
    """The colours that a block of the style sheet sets."""
    return dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


INKS = ("text", "quiet", "accent", "up", "down", "warn", "fast", "mean", "slow")


@pytest.mark.parametrize("theme", [":root {", ':root[data-theme="light"] {'])
def test_every_text_colour_stands_out_from_its_ground(theme: str) -> None:
    sheet = Path(STATIC / "css/base.css").read_text()
    colours = tokens(sheet.partition(theme)[2].partition("}")[0])
    for ground in ("ground", "surface"):
        for ink in INKS:
            high, low = sorted((luminance(colours[ground]), luminance(colours[ink])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ground, ink)


def test_the_light_theme_is_one_theme() -> None:
    sheet = (STATIC / "css/base.css").read_text()
    chosen = sheet.partition(':root[data-theme="light"] {')[2].partition("}")[0]
    system = sheet.partition(':root:not([data-theme="dark"]) {')[2].partition("}")[0]
    assert chosen.split() == system.split()
