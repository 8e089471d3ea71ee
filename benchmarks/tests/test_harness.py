"""How rounds become figures, and figures a headline."""

import io
import json

from benchmarks.harness import Bench, Figure, Rounds, percentile


def figure(name: str, *, ok: bool = True) -> Figure:
    return Figure(name=name, ratio=2.0, goal=1.0, rounds=5, peer="a loop", ok=ok)


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    rounds = Rounds({"ours": [1.0, 2.0, 10.0], "peer": [10.0, 40.0, 30.0]})
    assert rounds.ratio("peer", "ours") == 10.0
    assert rounds.ratio("peer", "ours", scale=3) == 30.0


def test_contenders_take_turns_in_going_first() -> None:
    calls: list[str] = []
    Bench("x", rounds=2, out=io.StringIO()).interleave(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    )
    assert calls == ["a", "b", "b", "a"]


def test_the_headline_is_not_ok_where_one_figure_missed_its_goal() -> None:
    out = io.StringIO()
    bench = Bench("thing", out=out)
    bench.add(figure("thing.first"))
    bench.add(figure("thing.second", ok=False))
    assert not bench.headline()
    headline = json.loads(out.getvalue().splitlines()[-1])
    assert (headline["name"], headline["ok"]) == ("thing", False)
    assert headline["note"] == "missed: thing.second"


def test_the_headline_is_not_ok_where_something_was_wrong() -> None:
    bench = Bench("thing", out=io.StringIO())
    bench.add(figure("thing.first"))
    bench.check(1 + 1 == 3, "sums")
    assert not bench.headline()


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99)) == (50.0, 99.0)
    assert percentile([7.0], 0.99) == 7.0
