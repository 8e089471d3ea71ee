"""The last 24 hours of each chain: counted after each scan, kept, and pushed where they changed."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from apps.stats.activity import windows
from apps.stats.models import ActivityCursor
from moonx.core import push
from moonx.core.chains.models import Chain
from moonx.core.push import State

NAME = "activity.updated"
# The window slides although no block comes: who was active a day ago is not any more.
COUNTED_EVERY = timedelta(minutes=1)
NO_NEWS = ("from", "to", "asOf")


def tell(chain: Chain, *, now: datetime) -> bool:
    """Counts the chain's last 24 hours where that may bring news, and pushes them where it did.

    What did not arrive at the push server is sent again. Returns whether anything was pushed.
    """
    row = ActivityCursor.objects.filter(pk=chain.slug).first()
    if row is None or row.last_block is None:
        return False
    if standing(row, now=now) is None:
        row = _count(row, now=now)
    state = _state(chain, row, now=now)
    if push.pushed_versions([state.topic]).get(state.topic, -1) >= state.version:
        return False
    return push.publish_states([state], now=now) > 0


def standing(row: ActivityCursor | None, *, now: datetime) -> dict[str, Any] | None:
    """The figures that were counted last, as JSON carries them; None where they are not of this
    minute, or a leaf changed since."""
    if row is None or row.figures_at is None or row.figures_of != row.version:
        return None
    figures: dict[str, Any] | None = row.figures
    return figures if timedelta(0) <= now - row.figures_at < COUNTED_EVERY else None


def _count(seen: ActivityCursor, *, now: datetime) -> ActivityCursor:
    """Counts, and keeps the figures; those that another run counted later stand."""
    found = windows.activity(seen.chain, now - windows.DAY, now, now).wire()
    with transaction.atomic():
        row = ActivityCursor.objects.select_for_update(no_key=True).get(pk=seen.chain)
        if row.figures_at is not None and row.figures_at > now:
            return row
        if _news(row.figures) != _news(found):
            row.figures_version += 1
        row.figures, row.figures_at, row.figures_of = found, now, seen.version
        row.save(update_fields=["figures", "figures_at", "figures_of", "figures_version"])
    return row


def _news(figures: dict[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (figures or {}).items() if key not in NO_NEWS}


def _state(chain: Chain, row: ActivityCursor, *, now: datetime) -> State:
    return State(
        topic=topic(chain),
        name=NAME,
        version=row.figures_version,
        data=data(chain, row),
        source_time=row.figures_at or now,
    )


def topic(chain: Chain) -> str:
    """Where a chain's figures are told."""
    return f"activity:{chain.chain_id}"


def data(chain: Chain, row: ActivityCursor) -> dict[str, Any]:
    """The figures as subscribers get them."""
    return {"chainId": chain.chain_id, "lastProcessedBlock": row.last_block, **(row.figures or {})}


def snapshot(chain: Chain) -> list[tuple[str, dict[str, Any]]]:
    """What a new subscriber is told: the figures that were counted last, none before the first."""
    row = ActivityCursor.objects.filter(pk=chain.slug, figures__isnull=False).first()
    return [(NAME, data(chain, row))] if row else []
