"""The chart's own rules, run by Node: bars, averages, marks, files, the tape, the list's order."""

import csv
from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from io import StringIO
from random import Random
from typing import Any

from tests.browser.modules import run

SEED = 20191011


def bar(time: int, close: str, **fields: Any) -> dict[str, Any]:
    """A bar as a candle message brings it; `time` in minutes."""
    price = {"open": close, "high": close, "low": close, "close": close}
    state = {"volume": "1", "count": 1, "closed": False, "revision": 0}
    return {"time": time * 60_000, **price, **state, **fields}


def closes(steps: Sequence[object]) -> list[list[Any]]:
    """[minute, close, count] of every bar after the steps: ["merge" | "apply" | "fill", what]."""
    body = """
        const bars = new m.Bars("1m");
        for (const [step, what, mark, since] of given) {
            if (step === "merge") bars.merge(what, mark ?? bars.mark(), since);
            else bars[step](what);
        }
        return [...bars].map((bar) => [bar.time / 60000, bar.close, bar.count]);
    """
    found: list[list[Any]] = run("bars", body, steps)
    return found


def test_minutes_without_trades_stand_flat_at_the_last_close() -> None:
    assert closes([["merge", [bar(0, "5")]], ["apply", bar(3, "7")], ["fill", 4 * 60_000]]) == [
        [0, "5", 1],
        [1, "5", 0],
        [2, "5", 0],
        [3, "7", 1],
        [4, "7", 0],
    ]


def test_a_late_trade_moves_the_flat_bars_after_it() -> None:
    late = bar(1, "6", closed=True, revision=1)
    assert closes([["merge", [bar(0, "5")]], ["fill", 3 * 60_000], ["apply", late]]) == [
        [0, "5", 1],
        [1, "6", 1],
        [2, "6", 0],
        [3, "6", 0],
    ]


def test_a_closed_bar_is_not_opened_again_by_an_older_message() -> None:
    steps = [["merge", [bar(0, "5")]], ["apply", bar(0, "6", closed=True)], ["apply", bar(0, "5")]]
    assert closes(steps) == [[0, "6", 1]]


def test_history_that_was_asked_for_earlier_does_not_undo_a_message() -> None:
    steps = [
        ["merge", [bar(0, "5")]],
        ["apply", bar(0, "6", count=2)],
        ["merge", [bar(0, "5", count=1)], 0],
    ]
    assert closes(steps) == [[0, "6", 2]]


def test_messages_that_came_before_history_leave_no_hole_and_no_false_bars() -> None:
    body = """
        const early = new Early();
        for (const bar of given.early) early.add(bar);
        const bars = new m.Bars("1m");
        bars.begin(given.history, early);
        return [...bars].map((bar) => [bar.time / 60000, bar.close, bar.count]);
    """

    def begun(history: list[Any], early: list[Any]) -> Any:
        given = {"history": history, "early": early}
        return run("bars", body, given, also={"early": ["Early"]})

    # An old bar was revised meanwhile; the newest one moved on; one that closed is known better.
    history = [bar(100, "5"), bar(101, "6", count=3)]
    old = bar(3, "9", closed=True, revision=1)
    stale = bar(101, "7", count=2)
    assert begun(history, [bar(103, "8"), stale, old]) == [
        [100, "5", 1],
        [101, "6", 3],
        [102, "6", 0],
        [103, "8", 1],
    ]
    revised = bar(100, "4", count=1, closed=True, revision=1)
    assert begun(history, [revised, bar(101, "7", count=4)]) == [[100, "4", 1], [101, "7", 4]]
    assert begun([], [bar(2, "7"), bar(1, "6")]) == [[1, "6", 1], [2, "7", 1]]


def test_of_each_bar_one_early_message_is_kept_and_none_when_history_does_not_come() -> None:
    body = """
        const early = new m.Early();
        for (const bar of given) early.add(bar);
        const kept = [...early].map((bar) => [bar.time / 60000, bar.close]);
        early.stop();
        for (const bar of given) early.add(bar);
        return [kept, [...early]];
    """
    ticks = [bar(2, str(n)) for n in range(500)]
    closed = bar(1, "6", closed=True)
    assert run("early", body, [*ticks, closed, bar(1, "5")]) == [[[1, "6"], [2, "499"]], []]


def test_flat_bars_follow_a_bar_that_lost_its_trades() -> None:
    emptied = bar(1, "5", volume="0", count=0, closed=True, revision=1)
    steps = [["merge", [bar(0, "5"), bar(1, "7")]], ["fill", 3 * 60_000], ["apply", emptied]]
    assert closes(steps) == [[0, "5", 1], [1, "5", 0], [2, "5", 0], [3, "5", 0]]
    # The bar before it loses its last trade too: all of them follow.
    earlier = bar(0, "4", closed=True, revision=1)
    assert closes([*steps, ["apply", earlier]]) == [[0, "4", 1], *([n, "4", 0] for n in (1, 2, 3))]


def test_history_asked_for_again_moves_the_flat_bars_beyond_it() -> None:
    steps = [["merge", [bar(0, "5"), bar(1, "7")]], ["fill", 3 * 60_000], ["merge", [bar(1, "6")]]]
    assert closes(steps) == [[0, "5", 1], [1, "6", 1], [2, "6", 0], [3, "6", 0]]


def test_history_that_was_asked_for_earlier_does_not_undo_a_revision() -> None:
    steps = [
        ["merge", [bar(0, "5", count=3)]],
        ["apply", bar(0, "4", count=2, closed=True, revision=1)],
        ["merge", [bar(0, "5", count=3)], 0],
    ]
    assert closes(steps) == [[0, "4", 2]]


def test_bars_go_that_history_does_not_know_any_more() -> None:
    """The market's first trade was withdrawn: its history begins at the next one."""
    steps: list[list[Any]] = [
        ["merge", [bar(0, "5"), bar(1, "5", count=0), bar(2, "5", count=0), bar(3, "7")]],
        ["fill", 4 * 60_000],
    ]
    again = ["merge", [bar(3, "7"), bar(4, "7", count=0)]]
    assert closes([*steps, [*again, 0]])[0] == [0, "5", 1]
    assert closes([*steps, [*again, 0, 0]]) == [[3, "7", 1], [4, "7", 0]]
    # A trade came late to a bar while history was on its way.
    late = ["apply", bar(1, "6", count=1, closed=True, revision=1)]
    assert closes([*steps, late, [*again, 0, 0]]) == [
        [1, "6", 1],
        [2, "6", 0],
        [3, "7", 1],
        [4, "7", 0],
    ]


def test_a_revised_bar_is_marked_and_stays_so_when_history_comes_again() -> None:
    body = """
        const bars = new m.Bars("1m");
        bars.merge(given.history, 0);
        for (const bar of given.messages) bars.apply(bar);
        bars.fill(4 * 60000);
        bars.merge(given.history, bars.mark());
        bars.complete = true;
        const colours = { first: "grey", revised: "amber" };
        return [marksOf(bars, colours), [...bars].map((bar) => bar.revision)];
    """
    given = {
        "history": [bar(0, "5"), bar(1, "6"), bar(2, "6", volume="0", count=0)],
        "messages": [bar(1, "7", closed=True, revision=n) for n in (1, 2)],
    }
    shown, revisions = run("bars", body, given, also={"marks": ["marksOf"]})
    assert [(mark["time"], mark["color"]) for mark in shown] == [(0, "grey"), (60, "amber")]
    assert shown[0]["text"] == "First trade"
    assert revisions == [0, 2, 0, 0, 0]


def test_marks_are_known_when_an_interval_is_shown_again_and_of_bars_alone() -> None:
    body = """
        const [minutes, others] = [["A", "1m"], ["A", "5m"]].map(
            ([symbol, interval]) => new m.Bars(interval, revisedOf({ symbol, interval })));
        for (const bars of [minutes, others]) bars.merge(given.history, 0);
        for (const bar of given.messages) minutes.apply(bar);
        const again = new m.Bars("1m", revisedOf({ symbol: "A", interval: "1m" }));
        again.merge(given.history, 0);
        const fewer = new m.Bars("1m", again.revised);
        fewer.merge(given.history.slice(1), 0);
        const marked = (bars) => marksOf(bars, {}).map(({ time }) => time / 60);
        return [[minutes, others, again, fewer].map(marked), [...again].map((bar) => bar.revision)];
    """
    given = {
        "history": [bar(0, "5"), bar(1, "6")],
        "messages": [bar(n, "7", closed=True, revision=n + 1) for n in (0, 1)],
    }
    also = {"marks": ["marksOf"], "revised": ["revisedOf"]}
    marked, revisions = run("bars", body, given, also=also)
    assert marked == [[0, 1], [], [0, 1], [1]]
    assert revisions == [1, 2]


def test_what_is_known_of_revisions_has_an_end() -> None:
    body = """
        const of = (n) => m.revisedOf({ symbol: `M${n}`, interval: "1m" });
        for (let time = 0; time < 5000; time += 1) of(0).set(time, 1);
        const first = of(0);
        const held = [first.size, first.has(4999)];
        for (let n = 1; n < 1000; n += 1) of(n);
        return [...held, of(999) === of(999), of(0) === first];
    """
    assert run("revised", body, None) == [1000, True, True, False]


def test_a_revision_is_told_in_words() -> None:
    assert run("wording", "return [1, 2, 3].map(m.revisions);", None) == [
        "revised once",
        "revised twice",
        "revised 3 times",
    ]


def test_averages_are_exact_however_the_bars_came() -> None:
    """Prepended history, late bars, live ticks, new buckets: each followed from where it began."""
    random = Random(SEED)  # noqa: S311

    def price() -> str:
        return f"{random.randrange(1, 10**4)}.{random.randrange(10**8):08d}"

    steps: list[Any] = [["merge", [bar(n, price()) for n in range(500, 620)]]]
    steps.append(["merge", [bar(n, price()) for n in range(400, 500)]])
    for minute in [619, 619, 620, 625, *random.sample(range(400, 625), 20), 626]:
        steps.append(["apply", bar(minute, price(), revision=len(steps))])
    body = """
        const bars = new m.Bars("1m");
        const averages = new Averages();
        return given.map(([step, what]) => {
            if (step === "merge") bars.merge(what, bars.mark());
            else bars.apply(what);
            const from = bars.replaced ? 0 : bars.indexOf(Math.min(...bars.changed));
            averages.follow(bars, from);
            bars.changed.clear();
            bars.replaced = false;
            const all = [...bars].map((bar) => bar.close);
            return [all, PERIODS.map((period) => all.map((_, at) => averages.at(at, period)))];
        });
    """
    found = run("bars", body, steps, also={"averages": ["Averages", "PERIODS"]})
    for closing, lines in found:
        prices = [Decimal(text) for text in closing]
        for period, values in zip((7, 25, 99), lines, strict=True):
            assert values[: period - 1] == [None] * (period - 1)
            for at, value in enumerate(values[period - 1 :], start=period):
                mean = sum(prices[at - period : at]) / period
                exact = Decimal(mean).quantize(Decimal("1e-18"), ROUND_DOWN)
                assert Decimal(value) == exact, (period, at)


def test_a_tick_costs_the_averages_one_sum_however_many_bars_there_are() -> None:
    body = """
        let read = 0;
        const bars = { size: 5000, at: () => (read += 1, { close: "1.5" }) };
        const averages = new m.Averages();
        averages.follow(bars, 0);
        const all = read;
        averages.follow(bars, 4999);
        return [all, read - all];
    """
    assert run("averages", body, None) == [5000, 1]


def test_a_file_has_the_servers_fields_and_digits() -> None:
    row = [1570838100000, "0.00147991", "1", "2", "3", "6768.00000000", 1570838999999]
    row += ["10.01603088", 12, "5.0", "0.10000000", "0"]
    text = run("csv", "return m.csv(given);", [row, row])
    lines = list(csv.reader(StringIO(text)))
    assert lines[0][0] == "open_time"
    assert lines[1:] == [[str(value) for value in row[:11]]] * 2
    name = {"symbol": "XRPETH", "interval": "15m", "from": 1570752000000, "to": 1570838100000}
    assert run("csv", "return m.fileName(given);", name) == (
        "XRPETH-15m-20191011T0000Z-20191011T2355Z.csv"
    )


def test_the_list_is_ordered_by_amounts_and_what_has_none_comes_last() -> None:
    volumes = {"A": "9.5", "B": "10.25", "C": None, "D": "10.3", "E": None, "F": "0"}
    markets = [
        {"symbol": name, "ticker": volume and {"quoteVolume": volume}}
        for name, volume in volumes.items()
    ]
    body = """return [true, false].map((down) =>
        [...given].sort(m.ordered({ by: "volume", down })).map(({ symbol }) => symbol).join(""));"""
    assert run("ordering", body, markets) == ["DBAFCE", "FABDCE"]


def test_volumes_are_compared_within_one_quote_asset() -> None:
    """0.5 BTC is not less than 900 USDC; what has no volume comes last."""
    volumes = [("A", "USDC", "900"), ("B", "BTC", "0.5"), ("C", "USDC", "1000"), ("D", "BTC", None)]
    markets = [
        {"symbol": name, "base": name, "quote": quote, "ticker": volume and {"quoteVolume": volume}}
        for name, quote, volume in [*volumes, ("E", "BTC", "0.75")]
    ]
    body = """return [true, false].map((down) =>
        [...given].sort(m.ordered({ by: "volume", down })).map(({ symbol }) => symbol).join(""));"""
    assert run("ordering", body, markets) == ["EBCAD", "BEACD"]


def test_the_tape_never_hides_a_hole() -> None:
    body = """
        const tape = new m.Trades();
        return given.map((ids) => {
            for (const id of ids) tape.add({ id });
            return tape.rows.map((row) => row.id);
        });
    """
    assert run("trades", body, [[1, 2, 3], [6], [4, 5], [5, 6]]) == [
        [3, 2, 1],
        [6],
        [6, 5, 4, 3, 2, 1],
        [6, 5, 4, 3, 2, 1],
    ]


def test_the_tape_knows_from_a_snapshot_which_numbers_stand_no_longer() -> None:
    body = """
        const tape = new m.Trades();
        const ids = () => tape.rows.map((row) => row.id);
        tape.begin();
        for (const id of [1, 2, 5]) tape.addNext({ id });
        const first = ids();
        for (const id of [6, 7]) tape.add({ id });
        const live = ids();
        tape.begin();
        for (const id of [1, 2, 5, 7]) tape.addNext({ id });
        return [first, live, ids()];
    """
    assert run("trades", body, None) == [[5, 2, 1], [7, 6, 5, 2, 1], [7, 5, 2, 1]]


def test_a_withdrawn_trade_stays_on_the_tape_and_is_no_last_price() -> None:
    body = """
        const tape = new m.Trades();
        for (const id of [1, 2, 3]) tape.add({ id, price: String(id) });
        tape.change({ id: 3, bustedAt: 9 }, m.BUSTED);
        const missing = tape.change({ id: 8 }, m.BUSTED);
        tape.change({ id: 2, price: "5" }, m.CORRECTED);
        tape.add({ id: 3, price: "3" });
        const rows = tape.rows.map(({ id, price, mark }) => [id, price, mark ?? null]);
        return [rows, tape.newest.id, missing];
    """
    assert run("trades", body, None) == [
        [[3, "3", "busted"], [2, "5", "corrected"], [1, "1", None]],
        2,
        False,
    ]


def test_a_withdrawn_trade_is_no_last_price_whichever_ticker_was_told() -> None:
    """The trade is newer than the ticker, or already in it; the next ticker rules."""
    body = """
        const ticker = { symbol: "A", open: "100", last: "100", changePercent: "0", asOf: 10 };
        const trade = (id, price, time) => ({ symbol: "A", id, price, time });
        const seen = [];
        const last = () => [m.markets.get("A").ticker].flatMap((t) => [t.last, t.changePercent]);
        m.takeTicker(ticker);
        for (const each of [trade(1, "110", 11), trade(2, "150", 12)]) m.takeTrade(each);
        seen.push(last());
        m.withdrawTrade({ symbol: "A", id: 1 }, trade(2, "150", 12));
        seen.push(last());
        m.withdrawTrade({ symbol: "A", id: 2 }, trade(1, "110", 11));
        seen.push(last());
        m.takeTrade(trade(3, "120", 13));
        m.takeTicker({ ...ticker, last: "120", asOf: 20 });
        m.withdrawTrade({ symbol: "A", id: 3 }, trade(1, "110", 11));
        seen.push(last());
        m.takeTrade(trade(4, "130", 21));
        m.correctTrade(trade(4, "131", 21));
        seen.push(last());
        return seen;
    """
    assert run("state", body, None) == [
        ["150", "50.00"],
        ["150", "50.00"],
        ["110", "10.00"],
        ["110", "10.00"],
        ["131", "31.00"],
    ]


def test_a_fill_that_was_withdrawn_stays_so_whatever_history_says() -> None:
    body = """
        const key = { symbol: "A", orderId: 1 };
        const fill = (tradeId, price) => ({ ...key, tradeId, price, time: tradeId });
        for (const id of [1, 2]) m.takeFill(fill(id, "100"));
        m.changeFill({ ...key, tradeId: 1 }, "busted");
        m.changeFill({ ...fill(2, "99"), fee: "0.1" }, "corrected");
        m.changeFill({ ...key, tradeId: 7 }, "busted");
        for (const id of [1, 2]) m.takeFill(fill(id, "100"));
        return m.fills().map(({ tradeId, price, mark }) => [tradeId, price, mark]);
    """
    assert run("own", body, None) == [[2, "99", "corrected"], [1, "100", "busted"]]
