"""Promises and rows, joined one to one."""

from pathlib import Path

from chaos import promises
from chaos.promises import Notebook, Promise, join


def asked(key: str, **told: object) -> Promise:
    return Promise(key=key, kind="place", asked={}, told=dict(told) or None)


def test_a_promise_without_a_row_is_lost_and_two_rows_are_one_too_many() -> None:
    joined = join([asked("a", order_id=1), asked("b", order_id=2)], ["b", "b"])
    assert (joined.lost, joined.doubled) == (["a"], ["b"])


def test_what_was_never_answered_may_be_there_or_not() -> None:
    joined = join([asked("a"), asked("b")], ["b"])
    assert (joined.unknown_and_absent, joined.unknown_and_there) == (["a"], ["b"])
    assert joined.lost == []


def test_what_was_refused_must_not_be_there() -> None:
    joined = join([asked("a", refused="InsufficientBalance")], ["a"])
    assert joined.refused_yet_there == ["a"]


def test_a_row_that_nobody_asked_for_is_found() -> None:
    assert join([], ["a"]).never_asked == ["a"]


def test_notes_are_read_back_as_far_as_they_were_written(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path / "client")
    notebook.intend("a", "place", symbol="ETHUSDC")
    notebook.told("a", order_id=7)
    notebook.intend("b", "place", symbol="BTCUSDC")
    first, second = promises.read(tmp_path)
    assert (first.asked, first.told) == ({"symbol": "ETHUSDC"}, {"order_id": 7})
    assert second.told is None
