"""Chains and readers of lying servers, for tests."""

from collections.abc import Sequence
from dataclasses import replace

from moonx.core.chains import providers
from moonx.core.chains.lying import LyingServer
from moonx.core.chains.models import Chain
from moonx.core.chains.pool import Patience
from moonx.core.chains.reader import Reader
from moonx.core.resilience import Backoff

ONCE = Patience(tries=1, within_s=0.0)
QUICK = Backoff(first_s=0.02, tries=4)


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


def reader_of(
    *servers: LyingServer,
    chain: Chain | None = None,
    timeout_s: float = 2.0,
    patience: Patience = ONCE,
) -> Reader:
    """A reader whose providers are these servers, in this order; it tries once."""
    row = chain or chain_row()
    urls: Sequence[tuple[str, float]] = [(server.url, timeout_s) for server in servers]
    served_by = [replace(one, again=QUICK) for one in providers.named(row.slug, urls)]
    return Reader(row, served_by, patience=patience)
