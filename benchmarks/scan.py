"""Who sent to whom in a range of blocks: our reader, a web3.py loop, ethereum-etl, one node.

All three read the same blocks from the same local server, which answers with blocks of recorded
shape, one write a reply; each ends with the same sets of addresses.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

from benchmarks import chain_node, etl
from benchmarks.chain_node import FIRST
from benchmarks.harness import Bench, Rounds, load
from moonx.core.chains import providers, registry
from moonx.core.chains.reader import Reader
from moonx.core.chains.web3py import HTTPProvider, Web3

FULL_N = 2_000  # blocks of 5 transactions
# Transactions in a block, and the share of FULL_N blocks: a scan of each takes about as long.
SIZES = ((20, 0.5), (5, 1.0), (170, 0.1))
LOOP_SHARE = 10  # the loop reads a tenth of the blocks, its time counts ten times

Found = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Whom ours is compared with; its time counts `scale` times."""

    entry: str
    name: str
    described: str
    goal: float
    scale: int = 1


LOOP = Peer(
    entry="loop",
    name="web3_loop",
    described="web3.py: get_block with whole transactions, one after the other",
    goal=20.0,
    scale=LOOP_SHARE,
)
ETL = Peer(
    entry="etl",
    name="ethereum_etl",
    described=f"ethereum-etl {etl.VERSION}: its export of blocks and transactions, batches of 100, "
    "5 workers, kept in memory",
    goal=3.0,
)


@dataclass(slots=True)
class Cost:
    """What a contender's scans took of the processor: it tells more than time on a busy machine."""

    blocks: int = 0
    cpu_s: float = 0.0

    @property
    def block_us(self) -> float:
        """Microseconds of the processor for a block."""
        return self.cpu_s / self.blocks * 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """So many blocks of so many transactions."""

    transactions: int
    blocks: int

    @property
    def whole(self) -> range:
        return range(FIRST, FIRST + self.blocks)

    @property
    def tenth(self) -> range:
        """The blocks that the slowest contender reads."""
        return range(FIRST, FIRST + self.blocks // LOOP_SHARE)

    def __str__(self) -> str:
        return f"{self.blocks:,} blocks of {self.transactions} transactions"


class Contest:
    """Contenders over blocks of one size: what each found last, and what all its scans cost."""

    def __init__(self) -> None:
        self.found: dict[str, Found] = {}
        self.costs: dict[str, Cost] = {}

    def entry(
        self, name: str, numbers: range, work: Callable[[range], Found]
    ) -> Callable[[], None]:
        """One scan of these blocks. A contender in a process of its own tells its cost itself."""
        cost = self.costs[name] = Cost()

        def scanned() -> None:
            begun_s = time.process_time()
            kept = work(numbers)
            own_s = time.process_time() - begun_s
            cost.blocks += len(numbers)
            cost.cpu_s += kept.pop("cpu_s", own_s)
            self.found[name] = kept

        return scanned

    def figures(self, rounds: Rounds, *, peer: str, size: Size) -> dict[str, float | int | str]:
        """What a comparison with this peer says besides the ratio of times."""
        ours, theirs = self.costs["ours"].block_us, self.costs[peer].block_us
        return {
            "blocks_per_s": round(size.blocks / rounds.median_ms("ours") * 1000),
            "blocks_per_core_s": round(1e6 / ours),
            "peer_blocks_per_core_s": round(1e6 / theirs),
            "cpu_ratio": round(theirs / ours, 1),
        }


def run(bench: Bench, *, n: int = FULL_N, with_etl: bool = True) -> None:
    """Scans blocks of each size; without ethereum-etl where nothing can be fetched."""
    with _peer(bench, with_etl=with_etl) as peer:
        for transactions, share in SIZES:
            blocks = max(LOOP_SHARE, int(n * share) // LOOP_SHARE * LOOP_SHARE)
            size = Size(transactions=transactions, blocks=blocks)
            bench.say(f"making {size}")
            with chain_node.serving(transactions=transactions, blocks=blocks) as url:
                scan(bench, url, size, peer=peer)


@contextmanager
def _peer(bench: Bench, *, with_etl: bool) -> Iterator[etl.Peer | None]:
    if not with_etl:
        yield None
        return
    bench.say("starting ethereum-etl; its packages are fetched the first time")
    with etl.peer() as peer:
        yield peer


def scan(bench: Bench, url: str, size: Size, *, peer: etl.Peer | None) -> None:
    """One size: every contender once a round, and all of them found the same."""
    contest, reader = Contest(), _reader(url)
    contenders = {
        "ours": contest.entry("ours", size.whole, partial(ours, reader)),
        "loop": contest.entry("loop", size.tenth, partial(loop, url)),
    }
    if peer is not None:
        contenders["etl"] = contest.entry("etl", size.whole, partial(_asked, peer, url))
    ours(reader, size.whole)  # connections stand, batches have grown
    rounds, found = bench.interleave(contenders), contest.found
    bench.check(found["loop"] == ours(reader, size.tenth), "the loop found the same")
    bench.check(
        found["ours"]["transactions"] == size.blocks * size.transactions, "every transaction is in"
    )
    _compare(bench, rounds, contest, size, peer=LOOP)
    if peer is not None:
        bench.check(found["etl"] == found["ours"], "ethereum-etl found the same")
        _compare(bench, rounds, contest, size, peer=ETL)


def _asked(peer: etl.Peer, url: str, numbers: range) -> Found:
    return peer.scan(url, first=numbers.start, last=numbers.stop - 1)


def _compare(bench: Bench, rounds: Rounds, contest: Contest, size: Size, *, peer: Peer) -> None:
    bench.compare(
        f"scan.{peer.name}.{size.transactions}_tx",
        rounds,
        ours="ours",
        peer=peer.entry,
        described=peer.described,
        goal=peer.goal,
        scale=peer.scale,
        note=f"{size}; load {load()}",
        more=contest.figures(rounds, peer=peer.entry, size=size),
    )


def _reader(url: str) -> Reader:
    chain = registry.find("ethereum")
    return Reader(chain, providers.named(chain.slug, [(url, 10.0)]))


def ours(reader: Reader, numbers: range) -> Found:
    """Unique senders and participants by our reader."""
    senders: set[bytes] = set()
    people: set[bytes] = set()
    transactions = 0
    for block in reader.traffic(numbers):
        senders.update(block.senders)
        people.update(each for each in block.recipients if each is not None)
        transactions += block.header.transaction_count
    people |= senders
    return told(transactions, {each.hex() for each in senders}, {each.hex() for each in people})


def loop(url: str, numbers: range) -> Found:
    """The same by what a developer writes with web3.py."""
    node = Web3(HTTPProvider(url))
    senders: set[str] = set()
    people: set[str] = set()
    transactions = 0
    for number in numbers:
        for transaction in node.eth.get_block(number, full_transactions=True)["transactions"]:
            assert not isinstance(transaction, bytes)
            senders.add(transaction["from"].lower()[2:])
            if transaction.get("to"):
                people.add(transaction["to"].lower()[2:])
            transactions += 1
    return told(transactions, senders, people | senders)


def told(transactions: int, senders: set[str], people: set[str]) -> Found:
    """What a contender found, as all of them tell it."""
    text = "".join(sorted(f"0x{each}" for each in people))
    return {
        "transactions": transactions,
        "senders": len(senders),
        "participants": len(people),
        "digest": blake2b(text.encode(), digest_size=16).hexdigest(),
    }
