"""The page of chains by its own rules, run by Node: figures, reasons, lines; and what it weighs."""

import gzip
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.modules import STATIC, run

IMPORT = re.compile(r'(?:from|import) "(\.[^"]+)"')
MINUTE_MS = 60_000


def plain(shown: str) -> str:
    """What is shown, with plain spaces."""
    return re.sub(r"\s", " ", shown)


FIGURES = [
    ("duration", 0, "0 ms"),
    ("duration", 999, "999 ms"),
    ("duration", 12_399, "12.3 s"),
    ("duration", 59_999, "59.9 s"),
    ("duration", 60_000, "1 min"),
    ("duration", 7_200_000, "2 h"),
    ("gwei", "0", "0 wei"),
    ("gwei", "7", "7 wei"),
    ("gwei", "1234567", "0.0012 gwei"),
    ("gwei", "12410000000", "12.41 gwei"),
    ("gwei", "123456789012345678901", "123,456,789,012 gwei"),
    ("percentage", "0.96679", "96.6 %"),
    ("percentage", "1", "100.0 %"),
    ("usd", "48219399.9", "$48.21M"),
    ("rate", "14.26", "14.2"),
    ("rate", "0.357", "0.35"),
    ("count", 21_482_193, "21,482,193"),
]


def test_a_figure_is_the_servers_digits_cut() -> None:
    found = run("figures", "return given.map(([call, value]) => m[call](value));", FIGURES)
    assert list(map(plain, found)) == [shown for _, _, shown in FIGURES]


def test_what_is_unknown_is_never_nothing() -> None:
    calls = ["duration", "gwei", "percentage", "usd", "rate", "count", "ticking"]
    assert set(run("figures", "return given.map((call) => m[call](null));", calls)) == {"–"}


def blamed(cause: str, value: int | None) -> dict[str, Any]:
    return {"rule": "providerFault", "provider": "alchemy", "cause": cause, "value": value}


REASONS = [
    ({"rule": "headAge", "value": 62_000, "limit": 60_000}, "Age of the newest block 1 min, limit"),
    ({"rule": "blockTimeP95", "value": 1350, "limit": 1125}, "Block time p95 1.3 s, limit 1.1 s"),
    ({"rule": "tps", "value": "12.10", "limit": "20.00"}, "Transactions a second 12.10, at least"),
    ({"rule": "noData", "value": 0, "limit": 1}, "No provider answers"),
    ({"rule": "settling", "value": 1, "limit": 3}, "Recovering: 1 of 3 good samples"),
    ({"rule": "split", "value": 2, "limit": 1}, "Providers tell of 2 different chains"),
    ({"rule": "stale", "value": None, "limit": 195_000}, "Not looked at for over 3 min"),
    (blamed("lagBlocks", 5), "alchemy: 5 blocks behind"),
    (blamed("lagMs", 31_000), "alchemy: 31.0 s behind"),
    (blamed("wrongChain", None), "alchemy: wrong chain"),
    ({"rule": "brandNew", "value": 3, "limit": None}, "Brand new, 3"),
]


def test_a_reason_is_a_sentence() -> None:
    found = run("verdicts", "return given.map(m.reasonOf);", [reason for reason, _ in REASONS])
    for sentence, (_, begins) in zip(map(plain, found), REASONS, strict=True):
        assert sentence.startswith(begins)


STANDINGS: list[tuple[dict[str, Any], int, str]] = [
    ({"verdict": "healthy"}, MINUTE_MS, "healthy"),
    ({"verdict": "healthy"}, 7 * MINUTE_MS, "unknown"),
    ({"verdict": "degraded", "isStale": True}, MINUTE_MS, "unknown"),
    ({"verdict": "unhealthy"}, 7 * MINUTE_MS, "unhealthy"),
    ({"verdict": "healthy", "staleAfterMs": MINUTE_MS}, 6 * MINUTE_MS, "healthy"),
    ({"verdict": "healthy", "staleAfterMs": 30 * MINUTE_MS}, 20 * MINUTE_MS, "healthy"),
    ({"verdict": "healthy", "staleAfterMs": 30 * MINUTE_MS}, 31 * MINUTE_MS, "unknown"),
]


def test_of_what_is_stale_nobody_knows_that_it_is_well() -> None:
    given = [[{"sampledAt": 0, **sample}, now] for sample, now, _ in STANDINGS]
    found = run("freshness", "return given.map(([one, now]) => m.standing(one, now));", given)
    assert found == [verdict for _, _, verdict in STANDINGS]


def test_what_was_told_before_never_makes_an_answer_that_is_stale_fresh_again() -> None:
    told_at = 1_000
    answer = {"asOf": told_at, "isStale": True}
    pushed = [{"asOf": told_at + later} for later in (-1, 0, 1)]
    given = [[one, answer] for one in pushed]
    assert run("freshness", "return given.map((pair) => m.isNews(...pair));", given) == [
        *(False, False),
        True,
    ]
    assert run("freshness", "return given.map((pair) => m.isNewer(...pair));", given) == [
        False,
        *(True, True),
    ]


def test_a_line_breaks_where_nothing_was_sampled() -> None:
    times = [0, MINUTE_MS, 30 * MINUTE_MS]
    points = [{"time": time, "value": at} for at, time in enumerate(times)]
    found = run("series", "return m.columns(given, ({ value }) => value);", points)
    assert found == [[0, 60, 930, 1800], [0, 1, None, 2]]


def test_a_point_replaces_one_of_its_time_and_old_ones_go() -> None:
    given = [{"time": time, "value": "held"} for time in (1, 2, 3)]
    body = "return m.extended(given, { time: 3, value: 'fresh' }, 2);"
    assert run("series", body, given) == [
        {"time": 2, "value": "held"},
        {"time": 3, "value": "fresh"},
    ]


def modules(entry: str) -> set[Path]:
    """The module and all that it imports, which is loaded with it."""
    found: set[Path] = set()
    waiting = [STATIC / "js" / entry]
    while waiting:
        path = waiting.pop().resolve()
        if path not in found:
            found.add(path)
            waiting += [path.parent / name for name in IMPORT.findall(path.read_text())]
    return found


def gzipped(paths: Iterable[Path]) -> int:
    return sum(len(gzip.compress(path.read_bytes())) for path in paths)


def styles(*names: str) -> set[Path]:
    return {(STATIC / f"{name}.css").resolve() for name in names}


PAGE = styles("css/base", "css/page", "css/trade", "css/chains")


@pytest.mark.parametrize(
    ("entry", "sheets"),
    [("main.js", PAGE), ("keypage.js", styles("css/base", "css/page", "css/trade", "css/keys"))],
)
def test_what_a_page_opens_with_is_small(entry: str, sheets: set[Path]) -> None:
    size = gzipped(modules(entry) | modules("first.js") | sheets)
    assert size < 150_000, f"{size:,} bytes gzipped"


def test_the_page_of_chains_is_loaded_when_it_is_opened_and_adds_little() -> None:
    opened = modules("main.js")
    added = (modules("stats.js") - opened) | styles("vendor/uplot")
    assert STATIC.resolve() / "vendor/uplot.js" in added
    size = gzipped(added)
    assert size < 45_000, f"{size:,} bytes gzipped"
