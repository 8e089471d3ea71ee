"""Patience: a verdict follows its samples down after two bad ones, and up after three good ones
that took a minute; as functions of values."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from apps.stats.vocabulary import RANKS, Verdict

BAD_SAMPLES = 2  # to go down
GOOD_SAMPLES, GOOD_FOR = 3, timedelta(seconds=60)  # to come up
# What was settled longer ago says nothing of now, unless chains are looked at less often.
FORGOTTEN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A verdict that has settled, and the samples since that speak against it.

    `streak` counts those in a row that are all worse, or all better, than it; `since` is the first
    of them and `bound` the one that is nearest to the verdict.
    """

    verdict: Verdict
    at: datetime
    streak: int = 0
    since: datetime | None = None
    bound: Verdict | None = None

    @classmethod
    def new(cls, verdict: Verdict, *, now: datetime) -> Self:
        """A verdict that nothing speaks against."""
        return cls(verdict=verdict, at=now)

    @property
    def is_coming_up(self) -> bool:
        """Whether the newest samples are better than the verdict."""
        return self.bound is not None and _rank(self.bound) < _rank(self.verdict)


def settle(
    standing: Standing | None,
    sampled: Verdict,
    *,
    now: datetime,
    forgotten_after: timedelta = FORGOTTEN,
) -> Standing | None:
    """What stands after one more sample; None where nothing was ever known, or too long ago.

    A sample that is unknown leaves things as they stand for so long. Where nothing stands, the
    first sample that is known settles it.
    """
    if standing is not None and now - standing.at > forgotten_after:
        standing = None
    if sampled is Verdict.UNKNOWN:
        return standing
    if standing is None:
        return Standing.new(sampled, now=now)
    if sampled is standing.verdict:
        return Standing.new(sampled, now=now)
    return _moved(_counted(standing, sampled, now=now), sampled, now=now)


def _counted(standing: Standing, sampled: Verdict, *, now: datetime) -> Standing:
    """The streak with one sample more, or a new one where it goes the other way."""
    is_better = _rank(sampled) < _rank(standing.verdict)
    if standing.bound is None or standing.is_coming_up is not is_better:
        return replace(standing, at=now, streak=1, since=now, bound=sampled)
    nearest = max if is_better else min
    bound = nearest(standing.bound, sampled, key=_rank)
    return replace(standing, at=now, streak=standing.streak + 1, bound=bound)


def _moved(standing: Standing, sampled: Verdict, *, now: datetime) -> Standing:
    """The verdict at what the whole streak agrees on, once it is long enough.

    Where the newest sample went further, it is the first that speaks against the new verdict.
    """
    if standing.bound is None or standing.since is None:
        return standing
    if standing.is_coming_up:
        is_due = standing.streak >= GOOD_SAMPLES and now - standing.since >= GOOD_FOR
    else:
        is_due = standing.streak >= BAD_SAMPLES
    if not is_due:
        return standing
    moved = Standing.new(standing.bound, now=now)
    return moved if sampled is moved.verdict else _counted(moved, sampled, now=now)


def shown(standing: Standing | None, sampled: Verdict) -> Verdict:
    """What to tell: what stands; unknown while nothing is known."""
    if standing is None or sampled is Verdict.UNKNOWN:
        return Verdict.UNKNOWN
    return standing.verdict


def _rank(verdict: Verdict) -> int:
    return RANKS.index(verdict)
