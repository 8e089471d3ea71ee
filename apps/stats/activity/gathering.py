"""All that is stored of a window, in one snapshot: whole days and hours, leaves elsewhere."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from apps.stats.activity import leaves, sets, storing
from apps.stats.activity.leaves import Leaf
from apps.stats.activity.sets import Hashes
from moonx.core import prepared

# Rolled up sets are used where they lie in the window whole, the largest first, and leaves where
# there are none. In one statement: between two, a fork could take a block from both.
STATEMENT = """
WITH inside AS MATERIALIZED (
  SELECT * FROM stats_activity_rollup WHERE chain = %(chain)s AND {inside}
), used AS MATERIALIZED (
  SELECT * FROM inside i WHERE span = 'day' OR NOT EXISTS (
    SELECT FROM inside d WHERE d.span = 'day' AND d.start <= i.start AND d.stop >= i.stop)
)
SELECT 'rollup', first_block, NULL, last_block, NULL, senders, recipients, transactions, gas_used
FROM used
UNION ALL
SELECT 'leaf', first_block, parent_hash, extract(epoch FROM covered_from)::bigint, blocks, senders,
  recipients, NULL, NULL
FROM stats_activity_leaf l WHERE chain = %(chain)s AND {touching} AND NOT EXISTS (
  SELECT FROM used u WHERE u.start <= l.bucket_start AND l.bucket_start < u.stop)
UNION ALL
SELECT 'span', extract(epoch FROM covered_from)::bigint, NULL,
  extract(epoch FROM last_time)::bigint, NULL, NULL, NULL, NULL, NULL
FROM stats_activity_leaf WHERE chain = %(chain)s AND {known}
"""
OF_TIMES = STATEMENT.format(
    inside="start >= %(start)s AND stop <= %(end)s",
    touching="bucket_start >= %(minute)s AND bucket_start < %(end)s",
    # The first leaf after the window tells how far the last one in it reaches.
    known="bucket_start >= %(minute)s AND bucket_start <= coalesce((SELECT min(bucket_start) "
    "FROM stats_activity_leaf WHERE chain = %(chain)s AND bucket_start >= %(end)s), %(end)s)",
)
OF_BLOCKS = STATEMENT.format(
    inside="first_block >= %(first)s AND last_block <= %(last)s",
    touching="last_block >= %(first)s AND first_block <= %(last)s",
    known="false",
)

Spans = list[tuple[int, int]]


@dataclass(slots=True)
class Gathered:
    """What is stored of a window. Senders and recipients are sets whose union is to be taken.

    `spans` are the stretches of time, in seconds, of which everything is known.
    """

    senders: list[Hashes] = field(default_factory=list)
    recipients: list[Hashes] = field(default_factory=list)
    transactions: int = 0
    gas_used: int = 0
    first_block: int | None = None
    last_block: int | None = None
    spans: Spans = field(default_factory=list)

    def add_leaf(self, leaf: Leaf | None) -> None:
        """Adds what a window holds of a leaf."""
        if leaf is not None:
            self._add(leaf.senders, leaf.recipients, leaf.transactions, leaf.gas_used)
            self._reach(leaf.first_block, leaf.last.number)

    def add_rollup(
        self, senders: Hashes, recipients: Hashes, *, blocks: tuple[int, int], sums: tuple[int, int]
    ) -> None:
        """Adds a whole hour or day: its first and last block, its transactions and gas."""
        self._add(senders, recipients, *sums)
        self._reach(*blocks)

    def _add(self, senders: Hashes, recipients: Hashes, transactions: int, gas_used: int) -> None:
        self.senders.append(senders)
        self.recipients.append(recipients)
        self.transactions += transactions
        self.gas_used += gas_used

    @property
    def reach(self) -> tuple[int, int]:
        """The first and the last block; raises LookupError where there is none."""
        if self.first_block is None or self.last_block is None:
            raise LookupError("nothing is stored of the window")
        return self.first_block, self.last_block

    def _reach(self, first: int, last: int) -> None:
        self.first_block = first if self.first_block is None else min(self.first_block, first)
        self.last_block = last if self.last_block is None else max(self.last_block, last)


def of_times(chain: str, *, start_s: int, end_s: int) -> Gathered:
    """What is stored of the blocks whose time is in [start, end)."""
    values = {
        "chain": chain,
        "start": datetime.fromtimestamp(start_s, UTC),
        "minute": datetime.fromtimestamp(leaves.minute_of(start_s), UTC),
        "end": datetime.fromtimestamp(end_s, UTC),
    }
    gathered = Gathered()
    for row in _rows(OF_TIMES, values):
        leaf = _taken(gathered, row)
        if leaf is not None:
            gathered.add_leaf(leaves.within_times(leaf, start_s=start_s, end_s=end_s))
    return gathered


def of_blocks(chain: str, *, first: int, last: int) -> Gathered:
    """What is stored of the blocks from `first` to `last`; without `spans`."""
    gathered = Gathered()
    for row in _rows(OF_BLOCKS, {"chain": chain, "first": first, "last": last}):
        leaf = _taken(gathered, row)
        if leaf is not None:
            gathered.add_leaf(leaves.within_blocks(leaf, first=first, last=last))
    return gathered


def _taken(gathered: Gathered, row: Sequence[Any]) -> Leaf | None:
    """Adds a row to what was gathered; returns it where it is a leaf, which is still to be cut."""
    kind, first, parent_hash, number, blocks, senders, recipients, *sums = row
    if kind == "leaf":
        return storing.unpacked((first, parent_hash, number, blocks, senders, recipients))
    if kind == "span":
        gathered.spans.append((first, number))
        return None
    transactions, gas_used = sums
    gathered.add_rollup(
        sets.from_bytes(senders),
        sets.from_bytes(recipients),
        blocks=(first, number),
        sums=(transactions, gas_used),
    )
    return None


def _rows(statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with prepared.cursor(binary=True) as cursor:
        cursor.execute(statement, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def covered_s(spans: Iterable[tuple[int, int]], *, start_s: int, end_s: int) -> int:
    """How many seconds of [start, end) lie in at least one of the spans."""
    total, reached = 0, start_s
    for begin, stop in sorted(spans):
        begin_here, stop_here = max(begin, reached), min(stop, end_s)
        if stop_here > begin_here:
            total += stop_here - begin_here
            reached = stop_here
    return total
