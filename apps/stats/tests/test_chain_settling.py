"""How many samples it takes to change a verdict."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.stats.chains import settling
from apps.stats.chains.settling import Standing
from apps.stats.vocabulary import Verdict

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
LETTERS = {
    "h": Verdict.HEALTHY,
    "d": Verdict.DEGRADED,
    "u": Verdict.UNHEALTHY,
    "?": Verdict.UNKNOWN,
}


def shown(
    samples: str, *, every_s: float = 60, forgotten_after: timedelta = settling.FORGOTTEN
) -> str:
    """What is shown after each sample, a letter for each."""
    standing: Standing | None = None
    told = ""
    for n, letter in enumerate(samples):
        sampled = LETTERS[letter]
        now = NOW + timedelta(seconds=n * every_s)
        standing = settling.settle(standing, sampled, now=now, forgotten_after=forgotten_after)
        told += next(
            one for one, verdict in LETTERS.items() if verdict is settling.shown(standing, sampled)
        )
    return told


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        ("h", "h"),
        ("u", "u"),
        ("hd", "hh"),  # one bad sample is none
        ("hdh", "hhh"),
        ("hdhdhd", "hhhhhh"),
        ("hdd", "hhd"),
        ("huu", "hhu"),
        ("hdu", "hhd"),  # both are at least that bad
        ("hduu", "hhdu"),
        ("hdud", "hhdd"),
        ("uh", "uu"),
        ("uhh", "uuu"),
        ("uhhh", "uuuh"),
        ("uhhuhhh", "uuuuuuh"),  # a bad one in between begins anew
        ("uhdh", "uuud"),  # all three are at least that good
        ("uhdhhh", "uuuddh"),
        ("duh", "ddd"),
        ("duhu", "dddd"),
        ("?", "?"),
        ("??h", "??h"),
        ("h?", "h?"),  # without data nothing is healthy
        ("h?h", "h?h"),
        ("u?h", "u?u"),  # a gap forgives nothing
        ("u????h", "u????u"),  # after exactly five minutes
        ("u?????h", "u?????h"),  # after six nothing is known of before
    ],
)
def test_a_verdict_follows_its_samples_with_patience(samples: str, told: str) -> None:
    assert shown(samples) == told


@pytest.mark.parametrize(
    ("every_s", "told"),
    [
        (20, "uuuuhh"),  # the fourth good sample is sixty seconds after the first
        (30, "uuuhhh"),
        (29.9, "uuuuhh"),
        (15, "uuuuuh"),
    ],
)
def test_three_good_samples_must_also_take_a_minute(every_s: float, told: str) -> None:
    assert shown("uhhhhh", every_s=every_s) == told


def test_a_verdict_is_as_patient_where_a_chain_is_looked_at_less_often() -> None:
    every_s, forgotten_after = 600, timedelta(minutes=30)
    assert shown("hdhhdd", every_s=every_s) == "hdhhdd"  # each sample is all that is known
    assert shown("hdhhdd", every_s=every_s, forgotten_after=forgotten_after) == "hhhhhd"
