"""Amounts are exact or refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx.core import money
from moonx.core.money import MoneyError

amounts = st.decimals(min_value=0, max_value=10**40, places=9, allow_nan=False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "-1",
        "+1",
        "1e3",
        "NaN",
        "Infinity",
        "0x10",
        "1_000",
        ".5",
        "5.",
        "١٢",
        "1,5",
        "1" * 61,
    ],
)
def test_what_is_not_a_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(MoneyError):
        money.parse(text)


@pytest.mark.parametrize("value", [1.5, True, None, [], Decimal("NaN"), Decimal(-1)])
def test_floats_and_other_types_are_refused(value: object) -> None:
    with pytest.raises(MoneyError):
        money.parse(value)


def test_a_plain_decimal_keeps_every_digit() -> None:
    text = "12345678901234567890.123456789012345678"
    assert format(money.parse(text), "f") == text


def test_the_largest_chain_amount_times_another_is_exact() -> None:
    assert money.product(Decimal(2**256 - 1), Decimal(10**18)) == (2**256 - 1) * 10**18


def test_a_product_that_the_ledger_cannot_hold_is_refused() -> None:
    with pytest.raises(MoneyError, match="more than 18"):
        money.product(Decimal("0.0000000001"), Decimal("0.000000001"))


@given(value=amounts)
def test_plain_text_reads_back_as_the_same_amount(value: Decimal) -> None:
    assert money.parse(money.plain(value)) == value


def test_plain_text_has_the_asked_digits_and_never_an_exponent() -> None:
    assert money.plain(Decimal("1E+3")) == "1000"
    assert money.plain(Decimal("0.00000001"), places=8) == "0.00000001"
    assert money.plain(Decimal(5), places=2) == "5.00"


def test_digits_are_never_cut_silently() -> None:
    with pytest.raises(MoneyError, match="needs more than 2"):
        money.plain(Decimal("0.001"), places=2)


def test_the_grid_is_exact_where_floats_are_not() -> None:
    assert money.on_grid(Decimal("0.3"), step=Decimal("0.1"))
    assert not money.on_grid(Decimal("0.35"), step=Decimal("0.1"))


def test_display_quotients_round_half_up() -> None:
    assert money.divide(Decimal(1), Decimal(16), places=3) == Decimal("0.063")
    assert money.divide(Decimal(-1), Decimal(16), places=3) == Decimal("-0.063")
