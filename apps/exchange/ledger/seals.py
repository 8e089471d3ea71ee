"""Seals: what is over cannot be changed unnoticed, not even by who may do anything.

A seal goes over the journals of a span of transactions that are all over, and takes along what each
account they touched then had. Its digest continues that of the seal before it.
"""

from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from apps.exchange.ledger import queries
from apps.exchange.models import Journal, Seal
from moonx.core import clock, locks, logs
from moonx.core.locks import Lock

log = logs.get("moonx.ledger")

SPAN = 5_000  # journals of a seal: some 100 ms to make one, as much to compute it again
LOCK_KEY = locks.key_of("ledger.seal")

# A transaction is sealed as a whole. What is below the oldest one under way is complete.
NEXT = """
SELECT coalesce(p.to_xid, 0), coalesce(p.digest, ''), (
  SELECT max(n.xid::text::bigint) + 1 FROM (
    SELECT j.xid FROM exchange_journal j WHERE j.xid >= coalesce(p.to_xid, 0)::text::xid8
      AND j.xid < least(pg_snapshot_xmin(pg_current_snapshot()), %(before)s::text::xid8)
    ORDER BY j.xid LIMIT %(span)s) n)
FROM (SELECT) one LEFT JOIN LATERAL (
  SELECT * FROM exchange_seal ORDER BY id DESC LIMIT 1) p ON true
"""

BALANCES = """
INSERT INTO exchange_sealedbalance (seal_id, account_id, balance)
SELECT %(seal)s, d.account_id, coalesce(s.balance, 0) + d.total
FROM (
  SELECT e.account_id, sum(e.amount) AS total
  FROM exchange_journal j JOIN exchange_entry e ON e.journal_id = j.id
  WHERE j.xid >= %(from)s::text::xid8 AND j.xid < %(to)s::text::xid8 GROUP BY e.account_id
) d LEFT JOIN LATERAL (
  SELECT s.balance FROM exchange_sealedbalance s WHERE s.account_id = d.account_id
  ORDER BY s.seal_id DESC LIMIT 1) s ON true
"""

DIGEST = f"""
SELECT d.* FROM (SELECT %(seal)s::bigint AS id, %(from)s::bigint AS from_xid,
  %(to)s::bigint AS to_xid, %(before)s AS before) s CROSS JOIN LATERAL ({queries.DIGEST}) d
"""  # noqa: S608 - constants only


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The transactions that are sealed next, and the digest they continue."""

    from_xid: int
    to_xid: int
    before: str


def seal_all(*, before: int, at_least: int = 1) -> int:
    """Seals what is complete and below the transaction `before`; returns how many seals it took.

    A rest of fewer than `at_least` journals is left to the next time.
    """
    count = 0
    while seal(before=before, at_least=at_least) is not None:
        count += 1
    return count


def seal(*, before: int, at_least: int = 1, span: int = SPAN) -> Seal | None:
    """Seals the next `span` journals; None where there are fewer than `at_least`."""
    with transaction.atomic():
        locks.hold(Lock.JOB, LOCK_KEY)
        found = _next(before=before, span=span)
        if found is None or _count(found) < at_least:
            return None
        made = _make(found)
    # Kept elsewhere too, so that whoever rewrites every seal is still found out.
    log.info("sealed", seal=made.pk, journals=made.journals, digest=made.digest)
    return made


def _next(*, before: int, span: int) -> Span | None:
    with connection.cursor() as cursor:
        cursor.execute(NEXT, {"before": before, "span": span})
        from_xid, digest, to_xid = cursor.fetchone()
    return Span(from_xid=from_xid, to_xid=to_xid, before=digest) if to_xid else None


def _count(span: Span) -> int:
    bounds = [str(span.from_xid), str(span.to_xid)]
    return Journal.objects.extra(where=["xid >= %s::xid8", "xid < %s::xid8"], params=bounds).count()


def _make(span: Span) -> Seal:
    values: dict[str, Any] = {"from": span.from_xid, "to": span.to_xid, "before": span.before}
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('exchange_seal_id_seq')")
        values["seal"] = cursor.fetchone()[0]
        cursor.execute(BALANCES, values)
        cursor.execute(DIGEST, values)
        journals, digest = cursor.fetchone()
    return Seal.objects.create(
        pk=values["seal"],
        from_xid=span.from_xid,
        to_xid=span.to_xid,
        journals=journals,
        digest=digest,
        sealed_at=clock.db_now(),
    )
