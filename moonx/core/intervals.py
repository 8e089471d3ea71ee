"""Candle intervals: UTC buckets [start, start + interval), Monday weeks and calendar months."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

# 1970-01-01 was a Thursday: weeks are counted from the first Monday after it.
FIRST_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Interval(StrEnum):
    """The nine intervals, named as on the wire (`1m` is a minute, `1M` a month)."""

    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H4 = "4h"
    D1 = "1d"
    W1 = "1w"
    MONTH = "1M"

    @property
    def child(self) -> "Interval | None":
        """The interval whose closed bars this one is folded from; None for 1m."""
        return _CHILD[self]

    @property
    def length(self) -> timedelta | None:
        """The fixed length; None for months, which have 28 to 31 days."""
        return _LENGTH.get(self)

    def floor(self, moment: datetime) -> datetime:
        """The start of the bucket that holds `moment`."""
        moment = moment.astimezone(UTC)
        if self is Interval.MONTH:
            return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        origin = FIRST_MONDAY if self is Interval.W1 else EPOCH
        length = _LENGTH[self]
        return origin + (moment - origin) // length * length

    def ceil(self, moment: datetime) -> datetime:
        """The first bucket start at or after `moment`."""
        start = self.floor(moment)
        return start if start == moment else self.shift(start, 1)

    def shift(self, start: datetime, buckets: int) -> datetime:
        """The bucket start that lies `buckets` (may be negative) after the bucket start `start`.

        Raises OverflowError outside the years 1 to 9999.
        """
        if start.tzinfo is not UTC:  # in another zone a day may have 23 hours
            start = start.astimezone(UTC)
        if self is not Interval.MONTH:
            return start + buckets * _LENGTH[self]
        months = start.year * 12 + start.month - 1 + buckets
        if not 12 <= months < 120_000:
            raise OverflowError("date value out of range")
        return start.replace(year=months // 12, month=months % 12 + 1)

    def buckets_between(self, start: datetime, end: datetime) -> int:
        """How many buckets lie between two bucket starts."""
        if self is not Interval.MONTH:
            return (end - start) // _LENGTH[self]
        return (end.year - start.year) * 12 + end.month - start.month

    def check_start(self, moment: datetime) -> None:
        """Raises ValueError unless `moment` is a bucket start."""
        if self.floor(moment) != moment:
            raise ValueError(f"{moment.isoformat()} is not the start of a {self} bucket")


@dataclass(frozen=True, slots=True)
class Zoned:
    """The buckets of an interval as clocks see them that are `ahead` of UTC (behind: negative).

    Moments stay UTC: a day at +8:00 starts at 16:00 of the day before.
    """

    interval: Interval
    ahead: timedelta

    def floor(self, moment: datetime) -> datetime:
        """The start of the bucket that holds `moment`."""
        return self.interval.floor(moment + self.ahead) - self.ahead

    def ceil(self, moment: datetime) -> datetime:
        """The first bucket start at or after `moment`."""
        return self.interval.ceil(moment + self.ahead) - self.ahead

    def shift(self, start: datetime, buckets: int) -> datetime:
        """As `Interval.shift`."""
        return self.interval.shift(start + self.ahead, buckets) - self.ahead

    def buckets_between(self, start: datetime, end: datetime) -> int:
        """How many buckets lie between two bucket starts."""
        return self.interval.buckets_between(start + self.ahead, end + self.ahead)


Buckets = Interval | Zoned


def buckets(interval: Interval, *, ahead: timedelta) -> Buckets:
    """The interval's buckets in a zone; the interval itself where its UTC buckets are the same."""
    length = interval.length or timedelta(days=1)
    is_utc = not ahead or (length < timedelta(days=1) and not ahead % length)
    return interval if is_utc else Zoned(interval, ahead)


_CHILD: dict[Interval, Interval | None] = {
    Interval.M1: None,
    Interval.M5: Interval.M1,
    Interval.M15: Interval.M5,
    Interval.M30: Interval.M15,
    Interval.H1: Interval.M30,
    Interval.H4: Interval.H1,
    Interval.D1: Interval.H4,
    Interval.W1: Interval.D1,
    # Weeks straddle months, so months are built from days too.
    Interval.MONTH: Interval.D1,
}

_LENGTH: dict[Interval, timedelta] = {
    Interval.M1: timedelta(minutes=1),
    Interval.M5: timedelta(minutes=5),
    Interval.M15: timedelta(minutes=15),
    Interval.M30: timedelta(minutes=30),
    Interval.H1: timedelta(hours=1),
    Interval.H4: timedelta(hours=4),
    Interval.D1: timedelta(days=1),
    Interval.W1: timedelta(weeks=1),
}


def to_ms(moment: datetime) -> int:
    """Milliseconds since the epoch, rounded down."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def from_ms(epoch_ms: int) -> datetime:
    """The instant `epoch_ms` milliseconds after the epoch; OverflowError beyond the year 9999."""
    return EPOCH + timedelta(milliseconds=epoch_ms)
