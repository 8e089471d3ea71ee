"""Each benchmark runs, small, and is right: how fast it is does not matter here."""

import io
import json

import pytest

from benchmarks import (
    candle_reads,
    candles,
    expiry,
    matching,
    order_to_browser,
    placing,
    relay,
    scan,
    stats_api,
    tickers,
    uniques,
)
from benchmarks.harness import Bench

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")


def small(name: str) -> Bench:
    return Bench(name, rounds=1, out=io.StringIO())


def names(bench: Bench) -> list[str]:
    for figure in bench.figures:
        assert {"name", "ratio", "goal", "rounds", "peer", "ok"} <= set(json.loads(figure.line()))
    return [figure.name for figure in bench.figures]


def test_tickers_and_both_peers_agree() -> None:
    bench = small("tickers")
    tickers.run(bench, n=3000, markets=30)
    assert bench.faults == []
    sizes = ("", *(f".{many}_markets_300_trades" for many in (30, 10, 10)))
    assert names(bench) == [
        f"tickers.{peer}{size}" for size in sizes for peer in ("orm_loop", "group_by")
    ]


def test_a_minutes_bars_are_the_same_by_statement_and_by_loop() -> None:
    bench = small("candles")
    candles.run(bench, n=8000, markets=15)
    assert bench.faults == []
    grown = ("15_markets_80000_trades", "10_markets_8000_trades", "10_markets_8000_trades")
    assert names(bench) == [
        *("candles.minute", "candles.close", "candles.nine", "candles.nine_worst"),
        *(f"candles.{what}.{size}" for size in grown for what in ("minute", "close")),
    ]


def test_bars_read_are_the_bars_folded_from_trades() -> None:
    bench = small("candle-reads")
    candle_reads.run(bench, n=5000, markets=10, reads=3, days=4)
    assert bench.faults == []
    assert names(bench) == [
        *("candle-reads.any", "candle-reads.zoned"),
        *["candle-reads.any.10_markets_500_trades"] * 3,
    ]


def test_the_relay_keeps_order_beside_an_open_transaction() -> None:
    bench = small("relay")
    relay.run(bench, n=300, open_s=0.4)
    assert bench.faults == []
    assert names(bench) == ["relay.throughput", "relay.stall"]


def test_trades_reach_a_subscriber_once_and_in_order() -> None:
    bench = small("order-to-browser")
    order_to_browser.run(bench, n=10, pace_s=0.01)
    assert bench.faults == []
    assert bench.figures[0].ok


def test_a_backlog_is_matched_as_the_orm_matches_it() -> None:
    bench = small("matching")
    matching.run(bench, n=1000, slice_of=50, markets=(5, 6), open_orders=(40, 80))
    assert bench.faults == []
    assert names(bench) == [
        *("matching.backlog", "matching.bulk_orm", "matching.batch", "matching.two_callers"),
        *("matching.markets", "matching.open_orders"),
    ]


def test_what_is_due_ends_as_the_orm_ends_it() -> None:
    bench = small("expiry")
    expiry.run(bench, n=400, markets=3)
    assert bench.faults == []
    assert names(bench) == ["expiry.many", "expiry.few", "expiry.none"]


def test_both_servers_answer_when_the_order_was_matched() -> None:
    bench = small("placing")
    placing.run(bench, n=12, clients=3)
    assert bench.faults == []
    assert names(bench) == ["placing.http"]


def test_our_reader_and_a_loop_find_the_same_people() -> None:
    bench = small("scan")
    scan.run(bench, n=20, with_etl=False)  # its packages are fetched, which no test does
    assert bench.faults == []
    assert names(bench) == [f"scan.web3_loop.{size}_tx" for size in (20, 5, 170)]


def test_who_was_active_is_counted_as_sets_of_addresses_count_it() -> None:
    bench = small("uniques")
    uniques.run(bench, n=2400)
    assert bench.faults == []
    assert names(bench) == ["uniques.rows", "uniques.memory"]


def test_the_api_of_statistics_answers_as_its_rows_stand() -> None:
    bench = small("stats-api")
    stats_api.run(bench, n=30, hours=8)
    assert bench.faults == []
    assert names(bench)[0] == "stats-api.all"
