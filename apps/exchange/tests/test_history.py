"""A market's past, imported: equal to the record however its trades arrive, or refused whole."""

import csv
import gzip
import json
import os
import random
import zipfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client

from apps.exchange import amending, candles, tickers, trades
from apps.exchange.amending import Request, Values
from apps.exchange.demo.recorded import DAY
from apps.exchange.history import importing
from apps.exchange.models import Asset, Candle, Market, MarketStatus, Trade, TradeSource
from apps.exchange.tests.factory import at, market, trade, traded
from apps.exchange.trades import NewTrade
from moonx.core import locks
from moonx.core.intervals import Interval, from_ms, to_ms
from moonx.core.locks import Lock
from moonx.core.models import OutboxEvent

pytestmark = pytest.mark.usefixtures("committed_db")

DATA = Path(__file__).parent / "data"
MIDNIGHT = at("2019-10-12 00:00")
Row = dict[str, Any]


def rows(count: int = 3, **changes: Any) -> list[Row]:
    """Trades 100, 101, … a second apart, each of two fills; `changes` are made to the last one."""
    made: list[Row] = [
        {
            "a": 100 + n,
            "p": "0.50",
            "q": "2.000",
            "f": 200 + 2 * n,
            "l": 201 + 2 * n,
            "T": 1_570_752_000_000 + 1000 * n,
            "m": bool(n % 2),
            "M": True,
        }
        for n in range(count)
    ]
    made[-1].update(changes)
    return made


def as_csv(lines: Iterable[Row], *, header: Sequence[str] = ()) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(header)
    writer.writerows(list(line.values()) for line in lines)
    return text.getvalue()


def put(path: Path, lines: list[Row]) -> Path:
    path.write_text(json.dumps(lines))
    return path


def import_file(path: Path, *options: str, symbol: str = "XRPETH") -> str:
    out = StringIO()
    call_command("import_trades", symbol, str(path), *options, stdout=out)
    return out.getvalue()


def refusal(path: Path, *options: str) -> str:
    with pytest.raises(CommandError) as caught:
        import_file(path, *options)
    assert caught.value.returncode == 1
    assert not Trade.objects.exists()
    return str(caught.value)


CREATE = "--create=XRP/ETH"


@pytest.fixture
def some(tmp_path: Path) -> Path:
    return put(tmp_path / "some.json", rows())


def recorded(interval: str) -> list[list[Any]]:
    with gzip.open(DATA / f"xrpeth-2019-10-11-{interval}.csv.gz", "rt") as lines:
        return [[int(row[0]), *map(Decimal, row[1:])] for row in csv.reader(lines)]


def derived(interval: Interval) -> list[list[Any]]:
    """The bars of a longer interval that the recorded 1m bars make, where something traded."""
    made: dict[int, list[Any]] = {}
    for start, opened, high, low, close, volume, *_ in recorded("1m"):
        if not volume:
            continue
        bucket = to_ms(interval.floor(from_ms(start)))
        held = made.setdefault(bucket, [bucket, opened, high, low, close, Decimal(0)])
        held[2], held[3], held[4] = max(held[2], high), min(held[3], low), close
        held[5] += volume
    return list(made.values())


def served(interval: str, *, step_ms: int) -> list[list[Any]]:
    found: list[list[Any]] = []
    start = 1_570_752_000_000
    while start < 1_570_838_400_000:
        query: dict[str, str | int] = {
            "symbol": "XRPETH",
            "interval": interval,
            "startTime": start,
            "limit": 1000,
        }
        page = Client().get("/api/v3/klines", query).json()
        found += [[row[0], *map(Decimal, row[1:6])] for row in page]
        start = page[-1][0] + step_ms
    return found


def assert_equal_to_the_record() -> None:
    assert Trade.objects.count() == 5929
    assert served("1m", step_ms=60_000) == recorded("1m")
    assert served("5m", step_ms=300_000) == recorded("5m")
    for interval in list(Interval)[1:]:
        query = {"symbol": "XRPETH", "interval": interval.value, "limit": "1000"}
        rows = Client().get("/api/v3/klines", query).json()
        found = [[row[0], *map(Decimal, row[1:6])] for row in rows if row[8]]
        assert found == derived(interval), interval
    minutes = Candle.objects.filter(interval="1m").values_list("trade_count", flat=True)
    assert sum(minutes) == 15_380_439 - 15_373_518 + 1


UNTIL = "--until=2019-10-12T00:00Z"


def test_the_recorded_day_gives_the_recorded_bars_candle_for_candle() -> None:
    said = import_file(DAY, CREATE, UNTIL)
    assert "5929 trades read, 5929 stored" in said
    assert_equal_to_the_record()


def test_so_it_does_shuffled_in_several_files_and_twice(tmp_path: Path) -> None:
    with gzip.open(DAY, "rt") as lines:
        day = list(lines)
    random.Random(3).shuffle(day)  # noqa: S311
    for number, part in enumerate([day[:2500], day[2000:4000], day[3000:], day]):
        path = tmp_path / f"{number}.csv"
        path.write_text("".join(part))
        import_file(path, CREATE, *([UNTIL] if number == 3 else []))
    assert_equal_to_the_record()


def test_an_import_moves_no_money_and_announces_no_trade() -> None:
    import_file(DAY, CREATE)
    assert not OutboxEvent.objects.exists()
    assert set(Trade.objects.values_list("source", flat=True)) == {TradeSource.IMPORTED}


def test_a_market_is_made_from_the_digits_of_the_data(some: Path) -> None:
    assert "the market was made" in import_file(some, CREATE)
    made = Market.objects.get(symbol="XRPETH")
    assert (made.status, made.label) == (MarketStatus.BREAK, "recorded")
    assert (made.tick_size, made.step_size) == (Decimal("0.1"), 1)
    assert made.recorded_until == datetime(2019, 10, 11, 0, 1, tzinfo=UTC)


def test_a_later_file_with_finer_digits_refines_a_recorded_market(
    some: Path, tmp_path: Path
) -> None:
    import_file(some, CREATE)
    finer = put(tmp_path / "finer.json", [*rows(4, p="0.503", q="0.25")[3:]])
    with pytest.raises(CommandError, match=r"0\.503 does not fit XRPETH, whose tick is 0\.1"):
        import_file(finer)
    import_file(finer, CREATE)
    made = Market.objects.get(symbol="XRPETH")
    assert (made.tick_size, made.step_size) == (Decimal("0.001"), Decimal("0.01"))


def test_the_record_ends_with_the_last_minute_known_whatever_comes_later(
    some: Path, tmp_path: Path
) -> None:
    late = put(tmp_path / "late.json", rows(1, a=900, T=1_570_838_000_000))
    import_file(late, CREATE)
    import_file(some)
    assert Market.objects.get().recorded_until == at("2019-10-11 23:54")
    import_file(some, UNTIL)
    assert Market.objects.get().recorded_until == MIDNIGHT


@pytest.mark.parametrize(
    "header",
    [
        (),
        ("a", "p", "q", "f", "l", "T", "m", "M"),
        (
            *("agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id"),
            *("transact_time", "is_buyer_maker", "is_best_match"),
        ),
    ],
)
def test_archives_are_read_with_and_without_a_header(
    tmp_path: Path, header: tuple[str, ...]
) -> None:
    path = tmp_path / "trades.csv"
    path.write_text("\ufeff" + as_csv(rows(), header=header).replace("\n", "\r\n"))
    import_file(path, CREATE)
    first = Trade.objects.order_by("seq")[0]
    assert (first.seq, first.first_id, first.last_id) == (100, 200, 201)
    assert (first.price, first.quantity, first.quote_quantity) == (Decimal("0.5"), 2, 1)
    assert first.executed_at == at("2019-10-11 00:00")
    assert list(Trade.objects.order_by("seq").values_list("is_buyer_maker", flat=True)) == [
        *(False, True, False)
    ]


def test_packed_files_and_objects_by_line_are_read_too(tmp_path: Path) -> None:
    packed = tmp_path / "trades.json.gz"
    packed.write_bytes(gzip.compress(json.dumps(rows()).encode()))
    zipped = tmp_path / "trades.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("trades.csv", as_csv(rows()))
    by_line = tmp_path / "trades.jsonl"
    by_line.write_text("\n".join(json.dumps(row) for row in rows()))
    assert "3 stored" in import_file(packed, CREATE)
    for path in (zipped, by_line):
        assert "0 stored; 3 were there already" in import_file(path)


def test_microseconds_are_told_from_milliseconds(tmp_path: Path) -> None:
    import_file(put(tmp_path / "a.json", rows(1, T=1_570_752_000_000_123)), CREATE)
    assert Trade.objects.get().executed_at == at("2019-10-11 00:00") + timedelta(microseconds=123)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"p": "0"}, "p must be above 0"),
    ({"p": "-1"}, "p must be a plain decimal"),
    ({"p": "NaN"}, "p must be a plain decimal"),
    ({"p": "1e3"}, "p must be a plain decimal"),
    ({"p": "٣"}, "p must be a plain decimal"),
    ({"p": "9" * 30}, "p must be above 0 and at most"),
    ({"q": ""}, "has no q"),
    ({"q": None}, "has no q"),
    ({"p": "0." + "1" * 10, "q": "0." + "1" * 10}, "more than 18 decimal places"),
    ({"a": "12x"}, "a must be a whole number"),
    ({"a": True}, "a must be a whole number"),
    ({"a": -1}, "a must be a whole number"),
    ({"a": 10**18}, "a must be a whole number"),
    ({"f": 500, "l": 400}, "l 400 is below f 500"),
    ({"T": 4_102_444_800_000}, "not between 2009 and now"),
    ({"T": 10**17}, "not between 2009 and now"),
    ({"T": 5}, "not between 2009 and now"),
    ({"m": "perhaps"}, "m must be true or false"),
]


@pytest.mark.parametrize(("changes", "reason"), BAD)
def test_one_bad_record_is_named_with_its_reason_and_nothing_is_imported(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    said = refusal(put(tmp_path / "bad.json", rows(3, **changes)), CREATE)
    assert "record 3: " in said
    assert reason in said
    assert not Market.objects.exists()


def test_a_bad_line_of_an_archive_is_named_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("a,p,q,f,l,T,m,M\n\n" + as_csv(rows(3, p="x")))
    assert "line 5: p must be a plain decimal" in refusal(path, CREATE)
    path.write_text(as_csv(rows()) + "1,2,3\n")
    assert "line 4: has 3 columns" in refusal(path, CREATE)
    path.write_text("price,volume\n1,2\n")
    assert "line 1: is neither a trade nor a header" in refusal(path, CREATE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds no trades"),
        (b"[]", "holds no trades"),
        (b"[{", "is not JSON"),
        (b"[[1]]", "record 1: is not an object"),
        (b'[{"p": Infinity}]', "is not JSON: Infinity is not a number"),
        (b"[" * 100_000, "is not JSON"),
        (b"\x1f\x8b\x08\x00broken", "cannot be read"),
        (b"PK\x03\x04broken", "cannot be read"),
        (b"1,\xff\xfe", "cannot be read"),
    ],
)
def test_a_file_that_holds_no_trades_is_refused(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert reason in refusal(path, CREATE)
    assert "cannot be read" in refusal(tmp_path / "absent", CREATE)


def test_a_trade_that_comes_twice_counts_once_but_must_be_the_same(tmp_path: Path) -> None:
    twice = put(tmp_path / "twice.json", rows() + rows())
    assert "3 trades read, 3 stored" in import_file(twice, CREATE)


def test_two_records_that_disagree_about_a_trade_are_both_named(tmp_path: Path) -> None:
    path = put(tmp_path / "both.json", rows() + rows(3, p="0.6")[2:])
    assert "record 3 and record 4 give trade 102 different contents" in refusal(path, CREATE)


def test_a_trade_that_differs_from_the_stored_one_is_named(some: Path, tmp_path: Path) -> None:
    import_file(some, CREATE)
    other = put(tmp_path / "other.json", rows(9, a=101, f=1, l=1)[5:])
    with pytest.raises(CommandError, match=r"record 4: XRPETH has another trade 101: 2 at 0\.5"):
        import_file(other)
    assert Trade.objects.count() == 3


def test_a_trade_that_was_busted_or_corrected_stays_so_whatever_is_imported_again(
    some: Path, tmp_path: Path
) -> None:
    import_file(some, CREATE)
    where, why = Market.objects.get(), Request(reason="wrong", by="ops")
    amending.bust(where, 100, why)
    amending.correct(where, 101, Values(price=Decimal("0.7"), quantity=Decimal(2)), why)
    assert "0 stored; 3 were there already" in import_file(some)
    prices = dict(Trade.objects.values_list("seq", "price"))
    assert prices == {101: Decimal("0.7"), 102: prices[102]}
    other = put(tmp_path / "other.json", rows(9, a=100, f=1, l=1)[5:])
    with pytest.raises(CommandError, match="has another trade 100"):
        import_file(other)


def test_an_unknown_market_or_another_pair_is_refused(some: Path) -> None:
    assert "There is no market XRPETH. To make one: --create BASE/QUOTE" in refusal(some)
    market("XRPETH")
    assert "exists as XRP/ETH, not ADA/ETH" in refusal(some, "--create=ADA/ETH")


def test_a_market_whose_quote_asset_is_too_coarse_is_not_made(some: Path, tmp_path: Path) -> None:
    Asset.objects.create(symbol="ETH", name="Ether", decimals=2)
    path = put(tmp_path / "fine.json", rows(1, p="0.12345"))
    assert "Price × quantity needs 5 decimals, ETH has 2" in refusal(path, CREATE)
    assert not Market.objects.exists()


def test_an_end_before_the_last_trade_or_of_a_trading_market_is_refused(some: Path) -> None:
    assert "must come after the last trade" in refusal(some, CREATE, "--until=2019-10-11T00:00:02Z")
    market("XRPETH")
    assert "XRPETH trades: its record has no end" in refusal(some, UNTIL)


def test_a_dry_run_says_what_it_would_do_and_does_nothing(some: Path) -> None:
    said = import_file(some, CREATE, "--dry-run")
    assert "3 trades read, 3 would be stored; the market would be made" in said
    assert not Market.objects.exists()
    assert not Asset.objects.exists()
    import_file(some, CREATE)
    assert "0 would be stored; 3 were there" in import_file(some, "--dry-run")


def test_a_bar_that_an_import_changes_is_announced_as_revised(some: Path, tmp_path: Path) -> None:
    import_file(some, CREATE)
    import_file(put(tmp_path / "more.json", rows(4, p="9")[3:]), CREATE)
    assert set(OutboxEvent.objects.values_list("name", flat=True)) == {"candle.revised"}
    told = OutboxEvent.objects.values_list("payload__interval", "payload__high")
    assert dict(told) == dict.fromkeys(Interval, "9.0")
    assert set(Candle.objects.values_list("revision", flat=True)) == {1}


def test_history_before_the_first_trade_of_a_live_market_keeps_it_live(some: Path) -> None:
    live = market("XRPETH")
    trades.record(
        live,
        [NewTrade(price=Decimal(1), quantity=Decimal(1), is_buyer_maker=False)],
        source=TradeSource.MATCHED,
    )
    import_file(some)
    live.refresh_from_db()
    assert (live.status, live.recorded_until) == (MarketStatus.TRADING, None)
    assert Trade.objects.count() == 4


def test_an_import_that_was_killed_halfway_is_finished_by_the_next(
    some: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    import_file(some, CREATE)
    whole = list(Candle.objects.order_by("interval").values_list("base_volume", "trade_count"))
    with transaction.atomic():
        Trade.objects.filter(seq=102).delete()
        where = Market.objects.get()
        trades.hold_market(where)
        candles.refold_minutes(where, [at("2019-10-11 00:00")])
    assert "1 stored; 2 were there" in import_file(some)
    assert (
        list(Candle.objects.order_by("interval").values_list("base_volume", "trade_count")) == whole
    )


def test_trading_that_keeps_the_market_makes_the_import_wait_and_then_say_so(
    some: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = market("XRPETH")
    traded(where, trade(1, "2026-01-01 00:00", "1"))
    monkeypatch.setattr(importing, "ATTEMPTS", 1)
    with _held_elsewhere(Lock.MARKET, where.pk), pytest.raises(CommandError) as caught:
        import_file(some)
    assert caught.value.returncode == 75
    assert "run the same command again" in str(caught.value)


def test_two_imports_into_one_market_do_not_meet(some: Path) -> None:
    where = market("XRPETH")
    with _held_elsewhere(Lock.IMPORT, where.pk), pytest.raises(CommandError) as caught:
        import_file(some)
    assert caught.value.returncode == 75


def _held_elsewhere(lock: Lock, key: int) -> Any:
    """The lock, held by another connection."""
    held = psycopg.connect(os.environ["DATABASE_URL"])
    held.execute("SELECT pg_advisory_lock(%s, %s)", [lock.value, key])
    return held


def test_the_import_refreshes_the_tickers_under_the_tickers_own_lock() -> None:
    assert locks.key_of("exchange.update_tickers") == tickers.RUN
