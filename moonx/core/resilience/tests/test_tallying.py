"""However outcomes are cut into batches, windows count them alike, in Python and in Valkey."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonx.core import valkey
from moonx.core.resilience import scripts
from moonx.core.resilience.circuit import DEFAULT, Tally
from moonx.core.resilience.tallying import Batch, Window
from moonx.core.resilience.tests.clocked import START_US, at

batches_of = st.lists(
    st.tuples(
        st.integers(0, 20_000),  # ms since the last one
        st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=9),
    ),
    max_size=20,
)


def batched(outcomes: list[tuple[bool, bool]], *, version: int = 1) -> Batch:
    batch = Batch(version=version)
    for is_failure, is_slow in outcomes:
        (batch.fail if is_failure else batch.succeed)(is_slow=is_slow)
    return batch


@settings(deadline=None)
@given(parts=batches_of)
def test_a_window_counts_every_call_of_its_minute(
    parts: list[tuple[int, list[tuple[bool, bool]]]],
) -> None:
    window, now_ms, seen, run = Window(), 0, [], 0
    for gap_ms, outcomes in parts:
        now_ms += gap_ms
        tally = window.add(batched(outcomes), now_ms=now_ms)
        longest = 0
        for is_failure, is_slow in outcomes:
            run = run + 1 if is_failure else 0
            longest = max(longest, run)
            seen.append((now_ms // DEFAULT.bucket_ms, is_failure, is_slow))
        kept = [one for one in seen if one[0] > now_ms // DEFAULT.bucket_ms - DEFAULT.buckets]
        assert tally == Tally(
            calls=len(kept),
            failures=sum(one[1] for one in kept),
            slow=sum(one[2] for one in kept),
            streak=longest,
        )


@pytest.mark.usefixtures("clean_valkey")
@settings(max_examples=40, deadline=None)
@given(parts=batches_of)
def test_valkey_counts_as_python_does(parts: list[tuple[int, list[tuple[bool, bool]]]]) -> None:
    keys = [valkey.key(name) for name in ("circuit", "window", "provider")]
    valkey.client().delete(*keys)
    copy = {"version": "1", "state": "CLOSED", "trip": ""}
    zeros = dict.fromkeys(("until", "since", "held", "ramped", "permille"), "0")
    for field, value in {**copy, **zeros}.items():
        valkey.client().hset(keys[0], field, value)
    window, now_us = Window(), START_US
    for gap_ms, outcomes in parts:
        now_us += gap_ms * 1000
        batch = batched(outcomes)
        said = at(
            scripts.SYNC,
            keys,
            *(batch.version, batch.calls, batch.failures, batch.slow),
            *(batch.leading, batch.trailing, batch.longest),
            *(DEFAULT.bucket_ms, DEFAULT.buckets),
            now_us=now_us,
        )
        tally = window.add(batch, now_ms=now_us // 1000)
        assert said[-4:] == [tally.calls, tally.failures, tally.slow, tally.streak]
