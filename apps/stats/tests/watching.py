"""A chain in memory, and providers of it that lag, fail or lie, for tests of who watches it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from apps.stats.chains import collecting
from apps.stats.chains.collecting import Collected
from apps.stats.models import Published
from apps.stats.tests.headers import block_hash
from moonx.core.chains import heads
from moonx.core.chains.blocks import Header
from moonx.core.chains.heads import Agreement, ProviderHead, Tip
from moonx.core.chains.models import Chain
from moonx.core.upstream.faults import CallFailed, Fault

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@dataclass(slots=True)
class Behaviour:
    """What a provider does: it is so many blocks behind, fails, or is on a fork of its own."""

    lag: int = 0
    fault: Fault | None = None
    fork: str = ""
    latency_ms: int = 20


@dataclass
class FakeChain:
    """Blocks that are mined by the test, and who serves them; a reader as collectors want it."""

    chain: Chain
    providers: dict[str, Behaviour] = field(default_factory=lambda: {"one": Behaviour()})
    blocks: list[Header] = field(default_factory=list)
    transactions: int = 4
    asked: list[Sequence[int]] = field(default_factory=list)
    finality_depth: int = 20
    anchor: int | None = None

    def mine(self, count: int, *, until: datetime, fork: str = "") -> None:
        """`count` blocks at the chain's usual pace, of which the last is of that moment."""
        for n in range(count - 1, -1, -1):
            moment = until - timedelta(milliseconds=n * self.chain.block_time_ms)
            self._append(int(moment.timestamp()), fork=fork)

    def reorganise(self, depth: int, *, until: datetime, fork: str) -> None:
        """Replaces the last blocks by as many of another fork, and one more."""
        del self.blocks[-depth:]
        self.mine(depth + 1, until=until, fork=fork)

    def _append(self, time_s: int, *, fork: str) -> None:
        number = self.blocks[-1].number + 1 if self.blocks else 0
        self.blocks.append(
            Header(
                number=number,
                hash=block_hash(number, fork),
                parent_hash=self.blocks[-1].hash if self.blocks else bytes(32),
                time_s=time_s,
                gas_used=15_000_000,
                gas_limit=30_000_000,
                base_fee_wei=7,
                transaction_count=self.transactions,
            )
        )

    def heads(self) -> list[ProviderHead]:
        """What each provider says."""
        return [self._head(name, one) for name, one in self.providers.items()]

    def _head(self, name: str, one: Behaviour) -> ProviderHead:
        if one.fault:
            return ProviderHead(
                provider=name,
                number=None,
                hash=None,
                time_s=None,
                finalized=None,
                finalized_time_s=None,
                latency_ms=one.latency_ms,
                fault=one.fault,
            )
        index = len(self.blocks) - 1 - one.lag
        head, final = self.blocks[index], self.blocks[max(0, index - self.finality_depth)]
        below = self.anchor or self.blocks[-1].number - 1
        anchor = self.blocks[below - self.blocks[0].number]
        return ProviderHead(
            provider=name,
            number=head.number,
            hash=block_hash(head.number, one.fork) if one.fork else head.hash,
            time_s=head.time_s,
            finalized=final.number,
            finalized_time_s=final.time_s,
            latency_ms=one.latency_ms,
            fault=None,
            parent_hash=head.parent_hash,
            anchor_hash=block_hash(anchor.number, one.fork) if one.fork else anchor.hash,
        )

    def agree(self, found: Sequence[ProviderHead], *, before: Tip | None, now_ms: int) -> Agreement:
        """As the real reader does."""
        bt_ms = self.chain.block_time_ms
        agreed = heads.agree(found, block_time_ms=bt_ms, before=before, now_ms=now_ms)
        self.anchor = agreed.tip.anchor if agreed.tip else None
        return agreed

    def headers(self, numbers: Sequence[int]) -> list[Header]:
        """Headers by number; NO_RESULT for one that is not there."""
        self.asked.append(numbers)
        if all(one.fault for one in self.providers.values()):
            raise CallFailed("nobody answers", fault=Fault.CONNECTION)
        by_number = {one.number: one for one in self.blocks}
        if missing := [number for number in numbers if number not in by_number]:
            raise CallFailed(f"there is no block {missing[0]}", fault=Fault.NO_RESULT)
        return [by_number[number] for number in numbers]

    def watch(self, *, now: datetime) -> Collected:
        """One run that looks at this chain."""
        return collecting.collect([self.chain], now=now, reader_of=lambda _: self)

    def told(self) -> dict[str, object]:
        """What is published of the chain."""
        payload: dict[str, object] = Published.objects.get(
            subject=f"chain:{self.chain.slug}"
        ).payload
        return payload


def make_chain(**others: object) -> Chain:
    """A chain that is in no registry, with facts as of a rollup."""
    values: dict[str, object] = {
        "slug": "testnet",
        "chain_id": 424242,
        "name": "Testnet",
        "native_asset": "ETH",
        "block_time_ms": 2000,
        "confirmations": 3,
        "finality_depth": 20,
        "finality_ms": 40_000,
    }
    return Chain(**{**values, **others})


def fake_chain(**others: object) -> FakeChain:
    """A chain with 400 blocks up to now."""
    made = FakeChain(chain=make_chain(**others))
    made.mine(400, until=NOW)
    return made


def silent(made: FakeChain) -> None:
    """From now on no provider answers."""
    made.providers = {
        name: replace(one, fault=Fault.CONNECTION) for name, one in made.providers.items()
    }
