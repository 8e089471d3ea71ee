"""One side of a book in memory, as far down as it was read."""

import heapq
from collections.abc import Iterable, Iterator

from apps.exchange.matching.live import Live
from apps.exchange.vocabulary import Stage


class Shallow(Exception):
    """The batch needs the book deeper than it was read: read on and decide again. Transient."""


class Side:
    """Resting orders, the best first: price, then rank.

    Where only a part was read, whatever lies beyond it is unknown, and asking for it raises
    Shallow.
    """

    def __init__(self, orders: Iterable[Live], *, is_bids: bool, is_complete: bool) -> None:
        self._sign = -1 if is_bids else 1
        self._heap = [(*self._key(order), order) for order in orders]
        heapq.heapify(self._heap)
        self._bound = None if is_complete or not self._heap else max(self._heap)[:2]

    def add(self, order: Live) -> None:
        """An order comes to rest."""
        heapq.heappush(self._heap, (*self._key(order), order))

    def best(self) -> Live | None:
        """The order that trades next; those that are done are dropped on the way."""
        heap = self._heap
        while heap and heap[0][2].stage is not Stage.BOOK:
            heapq.heappop(heap)
        if self._bound is not None and (not heap or heap[0][:2] > self._bound):
            raise Shallow
        return heap[0][2] if heap else None

    def in_order(self) -> Iterator[Live]:
        """All of them, the best first; raises Shallow at the end of what was read."""
        heap = self._heap.copy()  # few are asked for as a rule: sorting all of them costs more
        while heap:
            price, rank, order = heapq.heappop(heap)
            if self._bound is not None and (price, rank) > self._bound:
                raise Shallow
            if order.stage is Stage.BOOK:
                yield order
        if self._bound is not None:
            raise Shallow

    def _key(self, order: Live) -> tuple[int, int]:
        return self._sign * order.price, order.rank
