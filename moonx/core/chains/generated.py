"""A chain made by arithmetic, the same for the same seed: mined, forked and reorganised on demand.

For tests and benches: it knows every sender and recipient it ever named, so whatever a reader makes
of it can be held against the truth.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
GAS = 21_000
GAS_PRICE_WEI = 2 * 10**9
BASE_FEE_WEI = 10**9
CREATION_EVERY = 37  # of a block's transactions, about
FAILED_EVERY = 23
LOGGED_EVERY = 2
ZERO_HASH = b"\0" * 32
EMPTY = f"0x{ZERO_HASH.hex()}"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Mined:
    """What makes a block that block: all else of it follows from these."""

    hash: bytes
    parent: bytes
    time_ms: int
    transactions: int


@dataclass(kw_only=True)
class GeneratedChain:
    """A chain from `first` up to `head`.

    `transactions` is how many a block has, or says it by number; `people` is how many addresses
    take part; a transaction takes further fields from one of `templates`.
    """

    chain_id: int = 31337
    first: int = 0
    block_time_ms: int = 2_000
    begins_s: int = 1_700_000_000
    transactions: int | Callable[[int], int] = 5
    people: int = 1_000
    finality_depth: int = 64
    seed: int = 1
    templates: Sequence[Mapping[str, Any]] = ()
    _blocks: list[_Mined] = field(default_factory=list)
    _known: dict[tuple[bytes, bool], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self._blocks:
            self.mine()

    @property
    def head(self) -> int:
        """The newest block's number."""
        return self.first + len(self._blocks) - 1

    @property
    def finalized(self) -> int:
        """The newest final block's number."""
        return max(self.first, self.head - self.finality_depth)

    def mine(self, count: int = 1, *, late_ms: int = 0) -> None:
        """Adds blocks, the first of them so much later than it was due."""
        for index in range(count):
            parent = self._blocks[-1] if self._blocks else None
            begins_ms = self.begins_s * 1000 - self.block_time_ms
            due_ms = (parent.time_ms if parent else begins_ms) + self.block_time_ms
            self._add(parent, time_ms=due_ms + (late_ms if index == 0 else 0))

    def reorg(self, depth: int) -> None:
        """Replaces the newest `depth` blocks by as many others at the same times."""
        times = [block.time_ms for block in self._blocks[-depth:]]
        del self._blocks[-depth:]
        self.seed += 1
        for time_ms in times:
            self._add(self._blocks[-1] if self._blocks else None, time_ms=time_ms)

    def shorten(self, depth: int) -> None:
        """Takes the newest blocks away, as a node that went back to a snapshot."""
        del self._blocks[-depth:]

    def forked(self, depth: int) -> "GeneratedChain":
        """Another chain, as high as this one, that has other blocks from `depth` below its head."""
        other = GeneratedChain(
            chain_id=self.chain_id,
            first=self.first,
            block_time_ms=self.block_time_ms,
            begins_s=self.begins_s,
            transactions=self.transactions,
            people=self.people,
            finality_depth=self.finality_depth,
            seed=self.seed + 1_000_000,
            templates=self.templates,
            _blocks=list(self._blocks),
        )
        other.reorg(depth)
        return other

    def has(self, number: int) -> bool:
        """Whether there is a block of this number."""
        return self.first <= number <= self.head

    def hash(self, number: int) -> bytes:
        """The block's hash."""
        return self._blocks[number - self.first].hash

    def number_of(self, block_hash: bytes) -> int | None:
        """The number of the block with this hash; None where it is not of this chain (any more)."""
        for index, block in enumerate(self._blocks):
            if block.hash == block_hash:
                return self.first + index
        return None

    def time_ms(self, number: int) -> int:
        """When the block was made; its header tells whole seconds only."""
        return self._blocks[number - self.first].time_ms

    def pairs(self, number: int) -> list[tuple[bytes, bytes | None]]:
        """Sender and recipient of each transaction, None for a creation: the truth."""
        block = self._blocks[number - self.first]
        return [self._pair(block, index) for index in range(block.transactions)]

    def transaction_hash(self, number: int, index: int) -> bytes:
        """The hash of a block's transaction."""
        return _digest(self.hash(number), "transaction", index)

    def encoded(self, number: int, *, is_whole: bool) -> bytes:
        """The block as JSON bytes, kept: a server sends them as they are."""
        key = (self.hash(number), is_whole)
        if key not in self._known:
            self._known[key] = _json(self.block(number, is_whole=is_whole))
        return self._known[key]

    def block(self, number: int, *, is_whole: bool = True) -> Json:
        """The block as a node answers it, with whole transactions or their hashes."""
        mined = self._blocks[number - self.first]
        count = mined.transactions
        transactions = [
            self._transaction(number, index)
            if is_whole
            else _hex(self.transaction_hash(number, index))
            for index in range(count)
        ]
        return {
            "number": hex(number),
            "hash": _hex(mined.hash),
            "parentHash": _hex(mined.parent),
            "nonce": "0x0000000000000000",
            "sha3Uncles": EMPTY,
            "logsBloom": f"0x{'00' * 256}",
            "transactionsRoot": EMPTY,
            "stateRoot": EMPTY,
            "receiptsRoot": EMPTY,
            "miner": f"0x{'00' * 20}",
            "difficulty": "0x0",
            "totalDifficulty": "0x0",
            "extraData": "0x",
            "mixHash": EMPTY,
            "size": hex(600 + 200 * count),
            "gasLimit": hex(30_000_000),
            "gasUsed": hex(GAS * count),
            "timestamp": hex(mined.time_ms // 1000),
            "baseFeePerGas": hex(BASE_FEE_WEI),
            "transactions": transactions,
            "uncles": [],
        }

    def receipts(self, number: int) -> list[Json]:
        """The receipts of a block's transactions; every second has logged a token's transfer."""
        found: list[Json] = []
        logged = 0
        for index, pair in enumerate(self.pairs(number)):
            logs = [self._log(number, index, logged)] if index % LOGGED_EVERY == 0 else []
            logged += len(logs)
            found.append(self._receipt(number, index, pair, logs))
        return found

    def logs(self, number: int) -> list[Json]:
        """All that contracts said in a block."""
        return [log for receipt in self.receipts(number) for log in receipt["logs"]]

    def _add(self, parent: _Mined | None, *, time_ms: int) -> None:
        number = self.first + len(self._blocks)
        of = self.transactions
        before = parent.hash if parent else _digest(ZERO_HASH, "before", self.chain_id)
        self._blocks.append(
            _Mined(
                hash=_digest(before, f"block {self.seed}", number),
                parent=before if number else ZERO_HASH,
                time_ms=time_ms,
                transactions=of if isinstance(of, int) else of(number),
            )
        )

    def _pair(self, block: _Mined, index: int) -> tuple[bytes, bytes | None]:
        drawn = _digest(block.hash, "pair", index)
        sender = self.address(int.from_bytes(drawn[:8]) % self.people)
        if drawn[8] % CREATION_EVERY == 0:
            return sender, None
        return sender, self.address(int.from_bytes(drawn[16:24]) % self.people)

    def address(self, person: int) -> bytes:
        """The address of one of the people."""
        return _digest(ZERO_HASH, "person", person)[:20]

    def _transaction(self, number: int, index: int) -> Json:
        sender, recipient = self._pair(self._blocks[number - self.first], index)
        template = self.templates[(number + index) % len(self.templates)] if self.templates else {}
        return {
            "type": "0x2",
            "chainId": hex(self.chain_id),
            "nonce": hex(number),
            "gas": hex(GAS),
            "gasPrice": hex(GAS_PRICE_WEI),
            "maxFeePerGas": hex(GAS_PRICE_WEI),
            "maxPriorityFeePerGas": hex(GAS_PRICE_WEI - BASE_FEE_WEI),
            "value": hex(index),
            "input": "0x",
            "accessList": [],
            "v": "0x0",
            "r": "0x1",
            "s": "0x1",
            "yParity": "0x0",
            **template,
            "blockHash": _hex(self.hash(number)),
            "blockNumber": hex(number),
            "transactionIndex": hex(index),
            "from": _hex(sender),
            "to": None if recipient is None else _hex(recipient),
            "hash": _hex(self.transaction_hash(number, index)),
        }

    def _receipt(
        self, number: int, index: int, pair: tuple[bytes, bytes | None], logs: list[Json]
    ) -> Json:
        sender, recipient = pair
        created = _digest(self.hash(number), "created", index)[:20]
        return {
            "type": "0x2",
            "status": "0x0" if index % FAILED_EVERY == FAILED_EVERY - 1 else "0x1",
            "cumulativeGasUsed": hex(GAS * (index + 1)),
            "logs": logs,
            "logsBloom": f"0x{'00' * 256}",
            "transactionHash": _hex(self.transaction_hash(number, index)),
            "transactionIndex": hex(index),
            "blockHash": _hex(self.hash(number)),
            "blockNumber": hex(number),
            "gasUsed": hex(GAS),
            "effectiveGasPrice": hex(GAS_PRICE_WEI),
            "from": _hex(sender),
            "to": None if recipient is None else _hex(recipient),
            "contractAddress": _hex(created) if recipient is None else None,
        }

    def _log(self, number: int, index: int, position: int) -> Json:
        sender, recipient = self._pair(self._blocks[number - self.first], index)
        return {
            "address": _hex(_digest(ZERO_HASH, "token", 0)[:20]),
            "topics": [TRANSFER, _word(sender), _word(recipient or b"\0" * 20)],
            "data": f"0x{index + 1:064x}",
            "blockNumber": hex(number),
            "blockHash": _hex(self.hash(number)),
            "transactionHash": _hex(self.transaction_hash(number, index)),
            "transactionIndex": hex(index),
            "logIndex": hex(position),
            "removed": False,
        }


def _digest(start: bytes, what: str, number: int) -> bytes:
    return sha256(b"%s %s %d" % (start, what.encode(), number)).digest()


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"


def _word(address: bytes) -> str:
    return f"0x{'00' * 12}{address.hex()}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
