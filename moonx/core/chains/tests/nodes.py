"""Chains and readers of lying servers, for tests."""

from collections.abc import Sequence

from moonx.core.chains import providers
from moonx.core.chains.lying import LyingServer
from moonx.core.chains.models import Chain
from moonx.core.chains.reader import Reader


def chain_row(*, block_time_ms: int = 2_000, chain_id: int = 31337) -> Chain:
    """A chain's row as the migration makes the local one, not stored."""
    return Chain(
        slug="local",
        chain_id=chain_id,
        name="Local node",
        native_asset="ETH",
        block_time_ms=block_time_ms,
        confirmations=3,
        has_finalized_tag=True,
        finality_depth=64,
        finality_ms=128_000,
    )


def reader_of(*servers: LyingServer, chain: Chain | None = None, timeout_s: float = 2.0) -> Reader:
    """A reader whose providers are these servers, in this order."""
    row = chain or chain_row()
    urls: Sequence[tuple[str, float]] = [(server.url, timeout_s) for server in servers]
    return Reader(row, providers.named(row.slug, urls))
