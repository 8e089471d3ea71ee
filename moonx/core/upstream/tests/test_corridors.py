"""Corridors, sizes and coins: what can be watched, and what is refused."""

from decimal import Decimal

import pytest

from moonx.core.upstream import coins, corridors
from moonx.core.upstream.coins import COINS, UnknownCoin
from moonx.core.upstream.corridors import BadCorridors


def test_each_corridor_comes_in_each_size() -> None:
    found = corridors.probes(["USDC:ethereum>base", "usdc:bsc>base"], ["100", "10000"])
    assert [(str(probe.corridor), probe.size) for probe in found] == [
        ("USDC:ethereum>base", 100),
        ("USDC:ethereum>base", 10_000),
        ("USDC:bsc>base", 100),
        ("USDC:bsc>base", 10_000),
    ]


@pytest.mark.parametrize(
    ("way", "amount"),
    [("USDC:ethereum>base", 100 * 10**6), ("USDC:bsc>base", 100 * 10**18)],
)
def test_an_amount_is_in_the_units_of_the_chain_that_is_left(way: str, amount: int) -> None:
    (probe,) = corridors.probes([way], ["100"])
    assert probe.amount == amount


def test_what_binance_pegs_has_eighteen_decimals_and_all_else_six() -> None:
    assert {coin.decimals for coin in COINS if coin.chain == "bsc"} == {18}
    assert {coin.decimals for coin in COINS if coin.chain != "bsc"} == {6}
    assert coins.find("base", "USDC").base_units(Decimal("0.0000019")) == 1


def test_no_two_coins_share_a_place() -> None:
    assert len({(coin.chain, coin.address.lower()) for coin in COINS}) == len(COINS)
    assert len({(coin.chain, coin.symbol) for coin in COINS}) == len(COINS)


@pytest.mark.parametrize(
    ("chain", "symbol", "sentence"),
    [
        ("mars", "USDC", "there is no chain 'mars': use one of arbitrum, base, bsc"),
        ("base", "USDT", "'USDT' is not known on base: use one of USDC"),
    ],
)
def test_an_unknown_coin_is_refused_with_those_there_are(
    chain: str, symbol: str, sentence: str
) -> None:
    with pytest.raises(UnknownCoin) as refused:
        coins.find(chain, symbol)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("ways", "sentence"),
    [
        ([], "no corridor is named"),
        (["ethereum-base"], "'ethereum-base' is not spelled like USDC:ethereum>base"),
        (["USDC:ethereum>ethereum"], "leads nowhere"),
        (["USDC:ethereum>mars"], "there is no chain 'mars'"),
        (["DOGE:ethereum>base"], "'DOGE' is not known on ethereum"),
        (["USDC:bsc>base", "USDC:bsc>base"], "bsc>base is named twice"),
        (["USDC:bsc>polygon", "USDT:bsc>polygon"], "bsc>polygon is named twice"),
    ],
)
def test_a_corridor_that_cannot_be_watched_is_refused(ways: list[str], sentence: str) -> None:
    with pytest.raises(BadCorridors, match=sentence):
        corridors.probes(ways, ["100"])


@pytest.mark.parametrize(
    "size", ["0", "-1", "1.5", "1e3", "1000001", "010", "", "many", "9" * 40, "\u0661"]
)
def test_an_absurd_size_is_refused(size: str) -> None:
    with pytest.raises(BadCorridors, match="is not a whole number of coins from 1 to 1000000"):
        corridors.probes(["USDC:ethereum>base"], [size])


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(BadCorridors) as refused:
        corridors.quote_sizes(["0", "5", "5", "x"])
    assert str(refused.value).count(";") == 2


def test_more_quotes_than_a_run_may_ask_are_refused() -> None:
    chains = ["ethereum", "base", "arbitrum", "optimism", "polygon", "bsc"]
    ways = [f"USDC:{one}>{other}" for one in chains for other in chains if one != other]
    assert len(corridors.probes(ways[:15], ["1", "2", "3"])) == 45
    with pytest.raises(BadCorridors, match="16 corridors in 3 sizes are more than 45 quotes a run"):
        corridors.probes(ways[:16], ["1", "2", "3"])
