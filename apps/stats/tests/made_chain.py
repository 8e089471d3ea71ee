"""A chain made up by a test: it can mine, fork, go back, and tell what is not true."""

import itertools
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from apps.stats.activity.source import Tip
from moonx.core.chains.blocks import Header, Traffic
from moonx.core.upstream.faults import CallFailed, Fault

Pair = tuple[int, int | None]  # sender and recipient, by number; None: a contract is created

# Noon, three days ago: its partitions stand, whenever a test runs.
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3)
NOON_S = round(NOON.timestamp())


def address(number: int) -> bytes:
    return number.to_bytes(20, "big")


class MadeChain:
    """Blocks in memory; `told_tip` stands in for the tip where a provider is stale or lies."""

    def __init__(self, *, start_s: int = NOON_S, final_depth: int = 6) -> None:
        self.blocks: list[Traffic] = []
        self.final_depth = final_depth
        self.told_tip: Tip | None = None
        self.fails: list[Fault] = []
        self.traffic_fails: list[Fault] = []
        self.dies_after: int | None = None  # calls for traffic
        self.asked = 0
        self._salt = itertools.count()
        self.mine(start_s, [])

    def mine(self, time_s: int, pairs: Sequence[Pair], *, gas_used: int = 21_000) -> Traffic:
        number = len(self.blocks)
        parent = self.blocks[-1].header.hash if self.blocks else bytes(32)
        told = f"{number} {parent.hex()} {time_s} {pairs} {next(self._salt)}".encode()
        header = Header(
            number=number,
            hash=blake2b(told, digest_size=32).digest(),
            parent_hash=parent,
            time_s=time_s,
            gas_used=gas_used * len(pairs),
            gas_limit=30_000_000,
            base_fee_wei=None,
            transaction_count=len(pairs),
        )
        block = Traffic(
            header=header,
            senders=tuple(address(sender) for sender, _ in pairs),
            recipients=tuple(None if to is None else address(to) for _, to in pairs),
        )
        self.blocks.append(block)
        return block

    def grow(self, count: int, rng: random.Random, *, every_s: int = 12, people: int = 40) -> None:
        """Mines blocks at random distances around `every_s`, with up to six transactions each."""
        for _ in range(count):
            self.mine(
                self.head.time_s + rng.choice((0, 1, every_s, every_s, 2 * every_s)),
                [_pair(rng, people) for _ in range(rng.randrange(7))],
            )

    def fork(self, depth: int) -> None:
        """Takes blocks back; what is mined next is another branch."""
        del self.blocks[len(self.blocks) - depth :]

    @property
    def head(self) -> Header:
        return self.blocks[-1].header

    def tip(self) -> Tip:
        if self.fails:
            raise CallFailed("the made chain was told to fail", fault=self.fails.pop(0))
        if self.told_tip is not None:
            return self.told_tip
        return self.tip_of(len(self.blocks) - 1)

    def tip_of(self, number: int) -> Tip:
        """What a provider tells whose head is that block."""
        header = self.blocks[number].header
        final = max(0, number - self.final_depth)
        return Tip(number=number, hash=header.hash, time_s=header.time_s, final=final)

    def headers(self, numbers: Sequence[int]) -> list[Header]:
        self.asked += 1
        return [block.header for block in self._blocks(numbers)]

    def traffic(self, numbers: Sequence[int]) -> list[Traffic]:
        if self.dies_after == 0:
            raise CallFailed("the made chain is gone", fault=Fault.REFUSED)
        if self.traffic_fails:
            raise CallFailed("the made chain fails", fault=self.traffic_fails.pop(0))
        self.dies_after = None if self.dies_after is None else self.dies_after - 1
        return self._blocks(numbers)

    def _blocks(self, numbers: Sequence[int]) -> list[Traffic]:
        if any(not 0 <= number < len(self.blocks) for number in numbers):
            raise CallFailed("no such block", fault=Fault.NO_RESULT)
        return [self.blocks[number] for number in numbers]

    def within(self, start_s: float, end_s: float) -> list[Traffic]:
        """The blocks whose time is in [start, end)."""
        return [block for block in self.blocks if start_s <= block.header.time_s < end_s]


def _pair(rng: random.Random, people: int) -> Pair:
    to = None if rng.random() < 0.1 else rng.randrange(people)
    return rng.randrange(people), to


def senders(blocks: Sequence[Traffic]) -> set[bytes]:
    """By brute force."""
    return {one for block in blocks for one in block.senders}


def participants(blocks: Sequence[Traffic]) -> set[bytes]:
    """By brute force."""
    found = {one for block in blocks for one in block.recipients if one is not None}
    return found | senders(blocks)


def transactions(blocks: Sequence[Traffic]) -> int:
    """By brute force."""
    return sum(block.header.transaction_count for block in blocks)
