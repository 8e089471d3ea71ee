"""Budgets that all workers share: Valkey counts as Python does, and a 429 is heard by everybody."""

import random
import time

import pytest

from moonx.core import valkey
from moonx.core.resilience import (
    Backoff,
    CallClass,
    Target,
    circuits,
    guarded,
    hot,
    limits,
    retrying,
    scripts,
)
from moonx.core.resilience.budget import WHOLE, Meter, declared, factor_now, factor_refused
from moonx.core.resilience.tests.clocked import START_US, at
from moonx.core.resilience.tests.desk import fail, held_back, pass_time, succeed
from moonx.core.upstream.faults import CallFailed, Fault

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")

LIFI = Target(provider="lifi", kind=CallClass.QUOTE)


def test_valkey_and_python_count_alike() -> None:
    rng = random.Random(5)  # noqa: S311
    keys = [valkey.key("born"), valkey.key("p")]
    for whole in (
        declared(per_minute=40),
        declared(per_second=3, burst=5),
        declared(per_minute=60, per_second=2, burst=9),
    ):
        valkey.client().delete(*keys)
        meter, now_us = Meter(), START_US + rng.randrange(10**9)
        valkey.client().set(keys[0], now_us // 1000 - rng.choice([0, 10**6]))
        born_ms, factor, refused_us, paused_us = int(valkey.client().get(keys[0]) or 0), WHOLE, 0, 0
        for _ in range(250):
            now_us += int(rng.expovariate(1 / 600_000))
            weight = rng.choice([1, 1, 1, 2, 7])
            said = at(
                scripts.TAKE, keys, weight, whole.per_minute, whole.interval_us, whole.burst,
                now_us=now_us,
            )  # fmt: skip
            if paused_us // 1000 > now_us // 1000:
                assert said == [paused_us // 1000 - now_us // 1000, b"paused"]
                continue
            expected = meter.take(
                whole,
                weight=weight,
                factor=factor_now(factor, since_ms=now_us // 1000 - refused_us // 1000),
                is_cold=now_us // 1000 - born_ms < 60_000,
                now_us=now_us,
            )
            assert said == [expected[0], expected[1].encode()]
            if rng.random() < 0.02:
                at(scripts.REFUSED, keys[1:], 2_000, now_us=now_us)
                factor = factor_refused(
                    factor_now(factor, since_ms=now_us // 1000 - refused_us // 1000)
                )
                refused_us, paused_us = now_us, now_us + 2_000_000


def test_all_workers_together_get_the_budget_and_half_of_it_after_a_cold_start() -> None:
    limits.declare("lifi", per_minute=20)
    succeed(LIFI, times=10)
    circuits.forget()  # as another worker
    assert 0 < held_back(LIFI).retry_after_s <= 60.1
    valkey.client().set(valkey.key("providers:born"), 1)  # long ago
    succeed(LIFI, times=10)
    assert "the budget of this minute is spent" in str(held_back(LIFI))


def test_a_heavy_call_takes_more() -> None:
    limits.declare("lifi", per_second=1, burst=10)
    with guarded(LIFI, timeout_s=1, weight=9):
        pass
    succeed(LIFI)
    assert held_back(LIFI).retry_after_s <= 1


def test_every_worker_honours_a_pause_and_the_budget_shrinks() -> None:
    limits.declare("lifi", per_minute=100)
    with pytest.raises(CallFailed), guarded(LIFI, timeout_s=1):
        raise CallFailed("slow down", fault=Fault.RATE_LIMITED, retry_after_s=30)
    price = Target(provider="lifi", kind=CallClass.PRICE)
    circuits.forget()  # as another worker
    assert 29 < held_back(price).retry_after_s <= 30
    assert valkey.client().hget(hot.provider_key("lifi"), "factor") == b"700"


def test_a_pause_reaches_workers_without_a_declared_budget_too() -> None:
    succeed(LIFI)
    other = limits.of("lifi")
    hot.refuse("lifi", pause_ms=30_000)
    time.sleep(circuits.COPY_S)
    held_back(LIFI)
    assert other.paused_until_s > time.monotonic() + 29


def test_a_held_back_probe_gives_its_lease_back() -> None:
    fail(LIFI, times=5)
    pass_time(75, LIFI)
    limits.declare("lifi", per_second=1, burst=1)
    succeed(LIFI)
    assert "calls come too fast" in str(held_back(LIFI))
    limits.declare("lifi")
    succeed(LIFI)


def test_retries_are_a_tenth_of_the_calls() -> None:
    waits: list[float] = []

    def call() -> None:
        with guarded(LIFI, timeout_s=1):
            raise CallFailed("it failed", fault=Fault.TIMEOUT)

    def attempt(*, deadline_s: float = 60) -> None:
        with pytest.raises(CallFailed, match="it failed"):
            retrying(
                call,
                target=LIFI,
                policy=Backoff(first_s=4, tries=2),
                deadline_s=deadline_s,
                pause=waits.append,
                draw=lambda: 0.0,
            )

    attempt(deadline_s=1.9)
    assert waits == []
    attempt()
    assert waits == [2.0]
    attempt()  # 1 of 4 calls is more than a tenth already
    assert waits == [2.0]


def test_a_call_that_comes_to_nothing_for_good_is_not_repeated() -> None:
    def call() -> None:
        raise CallFailed("no such method", fault=Fault.REFUSED)

    with pytest.raises(CallFailed, match="no such method"):
        retrying(call, target=LIFI, deadline_s=60, pause=lambda _: pytest.fail("it waited"))
