"""Leaves as rows. Whoever writes holds the chain's lock; what reads takes one statement's snapshot.

Nothing is ever added to a row: a leaf is replaced by one that holds all it should, so that whatever
is done twice is done once.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from django.db import connection

from apps.stats.activity import leaves, sets
from apps.stats.activity.leaves import Leaf, Link
from moonx.core import locks, prepared
from moonx.core.locks import Lock

LOCK_WAIT_MS = 10_000  # a backfill's batch takes less than a second

FROM_S = "extract(epoch FROM covered_from)::bigint"
PACKED = f"first_block, parent_hash, {FROM_S}, blocks, senders, recipients"
READ = f"SELECT {PACKED} FROM stats_activity_leaf WHERE chain = %(chain)s"  # noqa: S608 - a constant
OF_BLOCK = f"{READ} AND last_block >= %(number)s AND first_block <= %(number)s"
OF_BLOCKS = f"{READ} AND last_block >= %(first)s AND first_block <= %(last)s ORDER BY first_block"

WRITE = """
INSERT INTO stats_activity_leaf AS l (
  chain, bucket_start, state, first_block, last_block, parent_hash, last_hash, covered_from,
  last_time, transactions, gas_used, digest, blocks, senders, recipients
)
SELECT %(chain)s, to_timestamp(bucket_s), CASE WHEN last_block <= %(final)s THEN 'final'
  ELSE 'provisional' END, first_block, last_block, parent_hash, last_hash, to_timestamp(from_s),
  to_timestamp(last_s), transactions, gas_used, digest, blocks, senders, recipients
FROM unnest(%(bucket_s)s::bigint[], %(first_block)s::bigint[], %(last_block)s::bigint[],
  %(parent_hash)s::bytea[], %(last_hash)s::bytea[], %(from_s)s::bigint[], %(last_s)s::bigint[],
  %(transactions)s::bigint[], %(gas_used)s::bigint[], %(digest)s::bytea[], %(blocks)s::bytea[],
  %(senders)s::bytea[], %(recipients)s::bytea[])
  AS u(bucket_s, first_block, last_block, parent_hash, last_hash, from_s, last_s, transactions,
    gas_used, digest, blocks, senders, recipients)
ON CONFLICT (chain, bucket_start) DO UPDATE SET (
  state, first_block, last_block, parent_hash, last_hash, covered_from, last_time, transactions,
  gas_used, digest, blocks, senders, recipients
) = ROW (
  excluded.state, excluded.first_block, excluded.last_block, excluded.parent_hash,
  excluded.last_hash, excluded.covered_from, excluded.last_time, excluded.transactions,
  excluded.gas_used, excluded.digest, excluded.blocks, excluded.senders, excluded.recipients
)
"""
# A roll-up that a leaf changed under is no longer what it says.
UNROLL = """
DELETE FROM stats_activity_rollup
WHERE chain = %(chain)s AND start <= to_timestamp(%(last)s) AND stop > to_timestamp(%(first)s)
"""
FORGET_AFTER = (
    "DELETE FROM stats_activity_leaf WHERE chain = %(chain)s AND last_block > %(number)s",
    "DELETE FROM stats_activity_rollup WHERE chain = %(chain)s AND last_block > %(number)s",
)
RANGES = """
SELECT first_block, last_block FROM stats_activity_leaf
WHERE chain = %(chain)s AND last_block >= %(first)s AND first_block <= %(last)s
ORDER BY first_block
"""
EARLIER = """
SELECT extract(epoch FROM bucket_start) FROM stats_activity_leaf
WHERE chain = %(chain)s AND bucket_start < to_timestamp(%(bucket_s)s)
ORDER BY bucket_start DESC LIMIT 1
"""
# The time of the block before a leaf is that of the last block of the hole before it.
NEWEST_HOLE = """
SELECT coalesce(before, -1) + 1, first_block - 1 FROM (
  SELECT first_block, covered_from, coalesce(lag(last_block) OVER (ORDER BY first_block), (
    SELECT max(last_block) FROM stats_activity_leaf
    WHERE chain = %(chain)s AND bucket_start < to_timestamp(%(minute)s))) AS before
  FROM stats_activity_leaf
  WHERE chain = %(chain)s AND bucket_start >= to_timestamp(%(minute)s)
) l WHERE covered_from >= to_timestamp(%(since)s) AND first_block > coalesce(before, -1) + 1
ORDER BY first_block DESC LIMIT 1
"""
# The last block of the leaf at which a share of them ends: for a search by halves.
ENDS = """
SELECT last_block, last_hash, extract(epoch FROM last_time)::bigint FROM stats_activity_leaf
WHERE chain = %(chain)s AND last_block <= %(number)s ORDER BY last_block
"""


@dataclass(frozen=True, slots=True)
class _Row:
    """A leaf's columns, in the order of the statement that writes them."""

    bucket_s: int
    first_block: int
    last_block: int
    parent_hash: bytes
    last_hash: bytes
    from_s: int
    last_s: int
    transactions: int
    gas_used: int
    digest: bytes
    blocks: bytes
    senders: bytes
    recipients: bytes


def hold(chain: str, *, wait_ms: int = LOCK_WAIT_MS) -> None:
    """Holds the chain's activity until the transaction ends. Raises LockBusy."""
    locks.hold(Lock.ACTIVITY, locks.key_of(chain), wait_ms=wait_ms)


def put(chain: str, found: Sequence[Leaf], *, final: int) -> None:
    """Stores leaves, each in place of the one of its minute; final up to the block `final`."""
    if not found:
        return
    columns = zip(*(astuple(_row(leaf)) for leaf in found), strict=True)
    names = _Row.__slots__
    values: dict[str, Any] = {name: list(one) for name, one in zip(names, columns, strict=True)}
    span = {"first": min(values["bucket_s"]), "last": max(values["bucket_s"])}
    with connection.cursor() as cursor:
        cursor.execute(WRITE, {**values, "chain": chain, "final": final})
        cursor.execute(UNROLL, {"chain": chain, **span})


def _row(leaf: Leaf) -> _Row:
    last = leaf.last
    return _Row(
        bucket_s=leaf.bucket_s,
        first_block=leaf.first_block,
        last_block=last.number,
        parent_hash=leaf.parent.hash,
        last_hash=last.hash,
        from_s=leaf.parent.time_s,
        last_s=last.time_s,
        transactions=leaf.transactions,
        gas_used=leaf.gas_used,
        digest=leaf.digest,
        blocks=leaf.blocks.tobytes(),
        senders=sets.to_bytes(leaf.senders),
        recipients=sets.to_bytes(leaf.recipients),
    )


def forget_after(chain: str, number: int) -> None:
    """Removes every leaf and roll-up that holds a block after `number`."""
    with connection.cursor() as cursor:
        for statement in FORGET_AFTER:
            cursor.execute(statement, {"chain": chain, "number": number})


def of_block(chain: str, number: int) -> Leaf | None:
    """The leaf that holds the block; None where none does."""
    found = _read(OF_BLOCK, {"chain": chain, "number": number})
    return found[0] if found else None


def of_blocks(chain: str, *, first: int, last: int) -> list[Leaf]:
    """The leaves that hold blocks of `first` to `last`, whole, in order."""
    return _read(OF_BLOCKS, {"chain": chain, "first": first, "last": last})


def ranges(chain: str, *, first: int, last: int) -> list[tuple[int, int]]:
    """First and last block of each leaf that holds blocks of `first` to `last`, in order."""
    with connection.cursor() as cursor:
        cursor.execute(RANGES, {"chain": chain, "first": first, "last": last})
        return list(cursor.fetchall())


def newest_hole(chain: str, *, since_s: int) -> tuple[int, int] | None:
    """The first and last block of the newest hole that ends at a time or later; None without one.

    It may begin before that time, at block 0 where nothing older is stored.
    """
    values: dict[str, Any] = {"chain": chain, "since": since_s, "minute": leaves.minute_of(since_s)}
    with connection.cursor() as cursor:
        cursor.execute(NEWEST_HOLE, values)
        row = cursor.fetchone()
    return None if row is None else (row[0], row[1])


def last_bucket_before(chain: str, bucket_s: int) -> int | None:
    """The start of the last minute before another one that has a leaf."""
    with connection.cursor() as cursor:
        cursor.execute(EARLIER, {"chain": chain, "bucket_s": bucket_s})
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def links(chain: str, *, first: int, last: int) -> list[Link]:
    """The stored blocks of `first` to `last`, in order."""
    cut = (
        leaves.within_blocks(leaf, first=first, last=last)
        for leaf in of_blocks(chain, first=first, last=last)
    )
    return [link for leaf in cut if leaf for link in leaf.links()]


def ends(chain: str, *, upto: int) -> list[Link]:
    """The last block of each leaf that ends at `upto` or before, in order."""
    with prepared.cursor(binary=True) as cursor:
        cursor.execute(ENDS, {"chain": chain, "number": upto})
        return [
            Link(number=number, hash=bytes(hashed), time_s=time_s)
            for number, hashed, time_s in cursor.fetchall()
        ]


def unpacked(row: Sequence[Any]) -> Leaf:
    """A leaf from the columns of PACKED."""
    first, parent_hash, from_s, blocks, senders, recipients = row
    return Leaf(
        parent=Link(number=first - 1, hash=bytes(parent_hash), time_s=from_s),
        blocks=np.frombuffer(blocks, dtype=leaves.BLOCK),
        senders=sets.from_bytes(senders),
        recipients=sets.from_bytes(recipients),
    )


def _read(statement: str, values: dict[str, Any]) -> list[Leaf]:
    with prepared.cursor(binary=True) as cursor:
        cursor.execute(statement, values)
        return [unpacked(row) for row in cursor.fetchall()]
