"""Hours and days rolled up of final leaves, so that a window reads a few large sets."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from apps.stats.activity import gathering, sets
from apps.stats.activity.gathering import Gathered
from apps.stats.models import Span

LENGTH_S = {Span.HOUR: 3600, Span.DAY: 86_400}

# Whether everything of a span is final: its leaves and those before it are, and the chain went on.
IS_OVER = """
SELECT c.last_time >= %(stop)s AND NOT EXISTS (
  SELECT FROM stats_activity_leaf WHERE chain = %(chain)s AND state = 'provisional'
    AND bucket_start < %(stop)s)
FROM stats_activity_cursor c WHERE c.chain = %(chain)s
"""
WRITE = """
INSERT INTO stats_activity_rollup (chain, span, start, stop, first_block, last_block, transactions,
  gas_used, sender_count, participant_count, senders, recipients)
VALUES (%(chain)s, %(span)s, %(start)s, %(stop)s, %(first_block)s, %(last_block)s,
  %(transactions)s, %(gas_used)s, %(sender_count)s, %(participant_count)s, %(senders)s,
  %(recipients)s)
ON CONFLICT (chain, span, start) DO UPDATE SET (stop, first_block, last_block, transactions,
  gas_used, sender_count, participant_count, senders, recipients) = ROW (excluded.stop,
  excluded.first_block, excluded.last_block, excluded.transactions, excluded.gas_used,
  excluded.sender_count, excluded.participant_count, excluded.senders, excluded.recipients)
"""
# Spans that have leaves and are not rolled up.
MISSING = """
SELECT DISTINCT extract(epoch FROM date_trunc(%(span)s, bucket_start, 'UTC'))::bigint
FROM stats_activity_leaf l
WHERE chain = %(chain)s AND NOT EXISTS (
  SELECT FROM stats_activity_rollup r WHERE r.chain = l.chain AND r.span = %(span)s
    AND r.start = date_trunc(%(span)s, l.bucket_start, 'UTC'))
ORDER BY 1
"""


def start_of(span: Span, time_s: int) -> int:
    """The start of the hour or day of a time."""
    return time_s // LENGTH_S[span] * LENGTH_S[span]


def roll(chain: str, span: Span, starts: Iterable[int]) -> int:
    """Rolls up those of the spans that are over and final; returns how many.

    The caller holds the chain's lock.
    """
    return sum(_roll_one(chain, span, start) for start in sorted(set(starts)))


def roll_missing(chain: str, span: Span) -> int:
    """As `roll`, of all that have leaves and are not rolled up."""
    with connection.cursor() as cursor:
        cursor.execute(MISSING, {"chain": chain, "span": span.value})
        starts = [start for (start,) in cursor.fetchall()]
    return roll(chain, span, starts)


def _roll_one(chain: str, span: Span, start_s: int) -> bool:
    return is_over(chain, stop_s=start_s + LENGTH_S[span]) and write(chain, span, start_s)


def write(chain: str, span: Span, start_s: int) -> bool:
    """Rolls the span up as it stands; whether there was anything in it."""
    stop_s = start_s + LENGTH_S[span]
    found = gathering.of_times(chain, start_s=start_s, end_s=stop_s)
    if found.first_block is None:
        return False
    _write(chain, span, found, start_s=start_s, stop_s=stop_s)
    return True


def is_over(chain: str, *, stop_s: int) -> bool:
    """Whether the chain has gone past the moment, and all before it is final."""
    with connection.cursor() as cursor:
        cursor.execute(IS_OVER, {"chain": chain, "stop": _moment(stop_s)})
        row = cursor.fetchone()
    return bool(row and row[0])


def _write(chain: str, span: Span, found: Gathered, *, start_s: int, stop_s: int) -> None:
    senders, recipients = sets.union(found.senders), sets.union(found.recipients)
    values: dict[str, Any] = {
        "chain": chain,
        "span": span.value,
        "start": _moment(start_s),
        "stop": _moment(stop_s),
        "first_block": found.first_block,
        "last_block": found.last_block,
        "transactions": found.transactions,
        "gas_used": found.gas_used,
        "sender_count": len(senders),
        "participant_count": sets.count([senders, recipients]),
        "senders": sets.to_bytes(senders),
        "recipients": sets.to_bytes(recipients),
    }
    with connection.cursor() as cursor:
        cursor.execute(WRITE, values)


def _moment(time_s: int) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)
