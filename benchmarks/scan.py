"""Who sent to whom in a range of blocks: our reader, a web3.py loop, ethereum-etl, one node.

All three read the same blocks from the same local server, which answers with blocks of recorded
shape, one write a reply; each ends with the same sets of addresses.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from web3 import HTTPProvider, Web3

from benchmarks import chain_node, etl
from benchmarks.chain_node import FIRST
from benchmarks.harness import Bench, Rounds, load
from moonx.core.chains import providers, registry
from moonx.core.chains.reader import Reader

FULL_N = 2_000  # blocks of 5 transactions
# Transactions in a block, and the share of FULL_N blocks: a scan of each takes about as long.
SIZES = ((20, 0.5), (5, 1.0), (170, 0.1))
LOOP_SHARE = 10  # the loop reads a tenth of the blocks, its time counts ten times
LOOP_GOAL, ETL_GOAL = 20.0, 3.0

Found = dict[str, Any]


@dataclass(slots=True)
class Cost:
    """What our scans took of the processor."""

    blocks: int = 0
    cpu_s: float = 0.0


def run(bench: Bench, *, n: int = FULL_N, with_etl: bool = True) -> None:
    """Scans blocks of each size; without ethereum-etl where nothing can be fetched."""
    with _peer(bench, with_etl=with_etl) as peer:
        for transactions, share in SIZES:
            blocks = max(LOOP_SHARE, int(n * share) // LOOP_SHARE * LOOP_SHARE)
            bench.say(f"making {blocks:,} blocks of {transactions} transactions")
            with chain_node.serving(transactions=transactions, blocks=blocks) as url:
                scan(bench, url, transactions=transactions, blocks=blocks, peer=peer)


@contextmanager
def _peer(bench: Bench, *, with_etl: bool) -> Iterator[etl.Peer | None]:
    if not with_etl:
        yield None
        return
    bench.say("starting ethereum-etl; its packages are fetched the first time")
    with etl.peer() as peer:
        yield peer


def scan(bench: Bench, url: str, *, transactions: int, blocks: int, peer: etl.Peer | None) -> None:
    """One size: every contender once a round, and all of them found the same."""
    last, tenth = FIRST + blocks, FIRST + blocks // LOOP_SHARE
    reader, cost = _reader(url), Cost()
    found: dict[str, Found] = {}

    def keep(name: str, work: Callable[[], Found]) -> Callable[[], None]:
        return lambda: found.update({name: work()})

    contenders = {
        "ours": keep("ours", lambda: ours(reader, range(FIRST, last), cost)),
        "loop": keep("loop", lambda: loop(url, range(FIRST, tenth))),
    }
    if peer is not None:
        contenders["etl"] = keep("etl", lambda: peer.scan(url, first=FIRST, last=last - 1))
    ours(reader, range(FIRST, last), Cost())  # connections stand, batches have grown
    rounds = bench.interleave(contenders)
    bench.check(
        found["loop"] == ours(reader, range(FIRST, tenth), Cost()), "the loop found the same"
    )
    bench.check(found["ours"]["transactions"] == blocks * transactions, "every transaction is in")
    name = f"{transactions}_tx"
    more = _figures(rounds, cost, blocks)
    note = f"{blocks:,} blocks of {transactions} transactions; load {load()}"
    bench.compare(
        f"scan.web3_loop.{name}",
        rounds,
        ours="ours",
        peer="loop",
        described="web3.py: get_block with whole transactions, one after the other",
        goal=LOOP_GOAL,
        scale=LOOP_SHARE,
        note=note,
        more=more,
    )
    if peer is not None:
        bench.check(found["etl"] == found["ours"], "ethereum-etl found the same")
        bench.compare(
            f"scan.ethereum_etl.{name}",
            rounds,
            ours="ours",
            peer="etl",
            described=f"ethereum-etl {etl.VERSION}: its export of blocks and transactions, batches "
            "of 100, 5 workers, kept in memory",
            goal=ETL_GOAL,
            note=note,
            more=more,
        )


def _figures(rounds: Rounds, cost: Cost, blocks: int) -> dict[str, float | int | str]:
    wall_s = rounds.median_ms("ours") / 1000
    return {
        "blocks_per_s": round(blocks / wall_s),
        "blocks_per_core_s": round(cost.blocks / cost.cpu_s),
    }


def _reader(url: str) -> Reader:
    chain = registry.find("ethereum")
    return Reader(chain, providers.named(chain.slug, [(url, 10.0)]))


def ours(reader: Reader, numbers: range, cost: Cost) -> Found:
    """Unique senders and participants by our reader."""
    begun_s = time.process_time()
    senders: set[bytes] = set()
    people: set[bytes] = set()
    transactions = 0
    for block in reader.traffic(numbers):
        senders.update(block.senders)
        people.update(each for each in block.recipients if each is not None)
        transactions += block.header.transaction_count
    people |= senders
    cost.cpu_s += time.process_time() - begun_s
    cost.blocks += len(numbers)
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
