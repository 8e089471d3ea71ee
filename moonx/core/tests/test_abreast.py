"""Works side by side: their outcomes, their order, their threads and connections."""

import threading
import time
from collections.abc import Callable

import pytest
from django.db import connection

from moonx.core import abreast


def test_each_work_has_its_own_outcome_and_stops_no_other() -> None:
    together = threading.Barrier(2, timeout=20)

    def fails() -> int:
        together.wait()
        raise ValueError("no")

    def counts() -> int:
        return together.wait() * 0 + 7

    works: dict[str, Callable[[], int]] = {"fails": fails, "counts": counts}
    done = abreast.run(works)
    assert done["counts"].result() == 7
    with pytest.raises(ValueError, match="no"):
        done["fails"].result()
    assert abreast.run({}) == {}


def test_results_come_in_their_order_and_no_more_run_at_once_than_may() -> None:
    running, most = set[int](), 0
    lock = threading.Lock()

    def work(number: int) -> int:
        nonlocal most
        with lock:
            running.add(number)
            most = max(most, len(running))
        time.sleep(0.002 * (6 - number))
        with lock:
            running.discard(number)
        return number

    assert abreast.each(work, range(6), most=2) == list(range(6))
    assert most <= 2


def test_the_first_failure_in_order_is_raised_and_what_had_not_begun_is_not_begun() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise ValueError("the first")
        time.sleep(0.1)

    with pytest.raises(ValueError, match="the first"):
        abreast.each(work, range(50), most=2)
    assert len(begun) < 10


@pytest.mark.usefixtures("committed_db")
def test_threads_give_back_the_connections_that_they_took() -> None:
    def pid(_: int) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    taken = [*abreast.each(pid, [1, 2], most=2), abreast.run({"a": lambda: pid(0)})["a"].result()]
    deadline_s = time.monotonic() + 20
    with connection.cursor() as cursor:
        while time.monotonic() < deadline_s:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)", [taken])
            if cursor.fetchone()[0] == 0:
                return
            time.sleep(0.05)
    pytest.fail("connections of threads that ended are still open")
