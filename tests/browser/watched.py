"""What is told of chains and bridges, as a site's collectors would tell it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from apps.stats import publishing
from apps.stats.chains import telling
from apps.stats.models import ChainHeader, ChainWatch
from apps.stats.publishing import News
from moonx.core import clock, push
from moonx.core.chains import registry
from moonx.core.chains.blocks import Header
from moonx.core.events import (
    StatsBridgeLatencyUpdated,
    StatsChainPerformanceUpdated,
    StatsFact,
    StatsOverviewUpdated,
)
from tests.browser.site import Site

BASE, BASE_ID = "base", 8453
NOW = timedelta()
PROVIDER = {"name": "a.example", "state": "ok", "lagBlocks": 0, "errorRate": "0", "p95Ms": 41}


class Watched:
    """Tells samples, each newer than the one before."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def chain(self, verdict: str, *reasons: dict[str, Any], ago: timedelta = NOW) -> None:
        """The chain Base, sampled so long ago."""
        self._tell(lambda at: _chain(verdict, reasons, at=at, ago=ago))

    def head(self, number: int) -> None:
        """A new block of Base, kept and told by the collector that looked at it."""

        def work() -> None:
            now = clock.db_now()
            header = _header(number, now)
            ChainHeader.objects.create(chain=BASE, **asdict(header))
            ChainWatch.objects.update_or_create(chain=BASE, defaults={"head_seen_at": now})
            push.publish_states([telling.head_state(registry.find(BASE), header, now=now)], now=now)

        self.site.database(work)

    def bridge(self, verdict: str, p95_ms: int, *, provider: str = "lifi", size: int = 100) -> None:
        """A simulated bridge on the way from Ethereum to Base."""
        self._tell(lambda at: _bridge(verdict, p95_ms, provider=provider, size=size, at=at))

    def overview(self, **chains: int) -> None:
        """So many chains by verdict."""
        self._tell(lambda at: _overview(chains, at=at))

    def _tell(self, made: Callable[[datetime], tuple[str, StatsFact]]) -> None:
        def work() -> None:
            now = clock.db_now()
            subject, event = made(now)
            publishing.publish([News(subject=subject, event=event, bands={})], now=now)

        self.site.database(work)


def _header(number: int, at: datetime) -> Header:
    return Header(
        number=number,
        hash=bytes(32),
        parent_hash=bytes(32),
        time_s=int(at.timestamp()),
        gas_used=15,
        gas_limit=30,
        base_fee_wei=7,
        transaction_count=3,
    )


def _chain(
    verdict: str, reasons: Sequence[dict[str, Any]], *, at: datetime, ago: timedelta
) -> tuple[str, StatsFact]:
    return f"chain:{BASE}", StatsChainPerformanceUpdated(
        seq=0,
        heartbeat=False,
        as_of=at,
        chain=BASE,
        chain_id=BASE_ID,
        verdict=verdict,
        reasons=tuple(reasons),
        providers=(
            {"name": "a.example", "state": "ok", "lagBlocks": 0, "errorRate": "0", "p95Ms": 41},
        ),
        block_time_ms={"p50": 2000, "p95": 2300, "p99": 4000, "n": 299},
        tps="14.26",
        gas_used_ratio="0.5123",
        base_fee_wei="12410000000",
        head=21_482_193,
        head_age_ms=1200,
        finality_lag_ms=900_000,
        reorgs1h={"count": 0, "maxDepth": 0},
        volume24h_usd="48219399.90",
        tvl_usd=None,
        sampled_at=at - ago,
        simulated=True,
    )


def _bridge(
    verdict: str, p95_ms: int, *, provider: str, size: int, at: datetime
) -> tuple[str, StatsFact]:
    return f"bridge:{provider}:ethereum:{BASE}:{size}", StatsBridgeLatencyUpdated(
        seq=0,
        heartbeat=False,
        as_of=at,
        provider=provider,
        from_="ethereum",
        to=BASE,
        size=str(size),
        verdict=verdict,
        reasons=(),
        latency_ms={"p50": 420, "p95": p95_ms, "n": 30},
        success_rate="0.9667",
        errors={"timeout": 1},
        sampled_at=at,
        simulated=True,
    )


def _overview(chains: dict[str, int], *, at: datetime) -> tuple[str, StatsFact]:
    nobody = {"healthy": 0, "degraded": 0, "unhealthy": 0, "unknown": 0}
    return "overview", StatsOverviewUpdated(
        seq=0,
        heartbeat=False,
        as_of=at,
        chains={**nobody, **chains},
        bridges=nobody,
        active24h=184_223,
        volume24h="3482193000.12",
        tvl=None,
        simulated=True,
    )
