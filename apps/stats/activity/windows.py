"""How many addresses were active in a window, exactly: the union of what is stored of it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

from apps.stats.activity import cursors, gathering, sets, sketches
from apps.stats.activity.gathering import Gathered
from apps.stats.models import ActivityCursor
from moonx.core import events

KEEP_DAYS = 7
DAY = timedelta(days=1)
# A block may come to us so much later than the time that it tells.
SETTLE_S = 60
# How far a caller's clock may be ahead of the database's.
AHEAD = timedelta(minutes=1)
COUNTS = ("senders", "participants", "transactions", "hll")
PLACES = Decimal("0.0001")


class WindowRefused(ValueError):
    """A window that cannot be answered; the message says why, and what to ask instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """Who was active in [from, to): distinct senders, and distinct senders and recipients together.

    `coverage` is the share of the window's seconds of which everything is known: those from one
    known block to the next one, and those after the newest block up to a minute before the chain's
    head was last found to be that block. It is rounded down. `hll` is what a sketch of the senders
    says, within one standard error `hll_error`: the exact count's own check.
    """

    chain: str
    from_: datetime
    to: datetime
    senders: int
    participants: int
    transactions: int
    coverage: Decimal
    exact: bool
    hll: int
    hll_error: Decimal
    first_block: int | None
    last_block: int | None
    as_of: datetime | None

    @property
    def is_known(self) -> bool:
        """Whether anything is known of the window, if only that nobody was active."""
        return self.first_block is not None or self.coverage > 0

    def counts(self) -> dict[str, int | None]:
        """What was counted; None where nothing is known of the window, which is not nobody."""
        return {name: getattr(self, name) if self.is_known else None for name in COUNTS}

    def wire(self) -> dict[str, Any]:
        """The fields as JSON carries them, the counts null where nothing is known."""
        told = {name: getattr(self, name) for name in self.__slots__ if name != "coverage"}
        data: dict[str, Any] = events.wire({**told, **self.counts()})
        return {**data, "coverage": format(self.coverage, "f")}


def oldest(now: datetime) -> datetime:
    """From when on activity is kept."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - KEEP_DAYS * DAY


def activity(chain: str, start: datetime, end: datetime, now: datetime) -> Activity:
    """Who was active on the chain (its slug) in [start, end), from rows alone.

    Blocks carry whole seconds, so a window begins and ends with the next whole one. Raises
    WindowRefused for a window without a second, before what is kept, or in the future.
    """
    check(start, end, now)
    row = ActivityCursor.objects.filter(pk=chain).first()
    start_s, end_s = _whole(start), _whole(end)
    found = gathering.of_times(chain, start_s=start_s, end_s=end_s)
    senders = sets.union(found.senders)
    return Activity(
        chain=chain,
        from_=start,
        to=end,
        senders=len(senders),
        participants=sets.count([senders, *found.recipients]),
        transactions=found.transactions,
        coverage=_coverage(found, row, start_s=start_s, end_s=end_s),
        exact=True,
        hll=sketches.estimate(sketches.of(senders)),
        hll_error=sketches.ERROR,
        first_block=found.first_block,
        last_block=found.last_block,
        as_of=row.updated_at if row else None,
    )


def check(start: datetime, end: datetime, now: datetime) -> None:
    """Raises WindowRefused for a window that `activity` does not answer."""
    if _whole(start) >= _whole(end):
        raise WindowRefused("The window must end at least a second after it begins.")
    kept = oldest(now)
    if start < kept:
        raise WindowRefused(
            f"Activity is kept since {kept:%Y-%m-%d %H:%M} UTC: ask for a window from then on."
        )
    if end > now + AHEAD:
        raise WindowRefused("The window ends in the future: ask for one that ends now or before.")


def covered_s(found: Gathered, row: ActivityCursor | None, *, start_s: int, end_s: int) -> int:
    """Seconds of [start, end) of which everything is known."""
    spans = [*found.spans, *_tail(row)]
    return gathering.covered_s(spans, start_s=start_s, end_s=end_s)


def _coverage(found: Gathered, row: ActivityCursor | None, *, start_s: int, end_s: int) -> Decimal:
    return share(covered_s(found, row, start_s=start_s, end_s=end_s), of_s=end_s - start_s)


def share(part_s: int, *, of_s: int) -> Decimal:
    """Which part of so many seconds these are, to four places, rounded down."""
    return (Decimal(part_s) / of_s).quantize(PLACES, rounding=ROUND_DOWN)


def _tail(row: ActivityCursor | None) -> list[tuple[int, int]]:
    """The quiet since the newest block, as far as it is sure that no other will be dated there."""
    last = cursors.position(row) if row else None
    if row is None or last is None or row.checked_at is None:
        return []
    return [(last.time_s, int(row.checked_at.timestamp()) - SETTLE_S)]


def _whole(moment: datetime) -> int:
    """The first whole second at or after a moment."""
    return -int(-moment.timestamp() // 1)
