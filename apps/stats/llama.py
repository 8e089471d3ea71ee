"""Volume and value locked of chains, by DefiLlama: https://api-docs.defillama.com."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote

from pydantic import SecretStr

from apps.stats.collectors import Called
from moonx.core import abreast, logs
from moonx.core.abreast import Done
from moonx.core.resilience import Backoff, CallClass, Target, guarded, limits, retrying
from moonx.core.upstream import endpoints, http
from moonx.core.upstream.endpoints import Endpoint
from moonx.core.upstream.faults import CallFailed, Fault
from moonx.core.upstream.names import Service
from moonx.core.upstream.reading import Reading

SERVER = "DefiLlama"
TARGET = Target(provider=Service.DEFILLAMA, kind=CallClass.READ)
PER_MINUTE = 120  # of all workers; without a key DefiLlama takes some hundreds
ONCE_MORE = Backoff(first_s=1.0, tries=2)
LARGEST_ANSWER = 8 * 2**20
LARGEST_USD = Decimal(10) ** 15
CENTS = Decimal("0.01")
LOCKED = "/"  # no slug

log = logs.get("moonx.llama")


class Chain(Protocol):
    """What is known of a chain that is asked about; `llama_name` is "" where DefiLlama has none."""

    @property
    def slug(self) -> str: ...
    @property
    def chain_id(self) -> int: ...
    @property
    def llama_name(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A chain's volume of the last 24 hours on exchanges and the value locked in it, in USD.

    None where DefiLlama did not say. `simulated` tells figures of the simulator.
    """

    volume24h_usd: Decimal | None
    tvl_usd: Decimal | None
    simulated: bool

    @property
    def is_known(self) -> bool:
        """Whether either figure is."""
        return self.volume24h_usd is not None or self.tvl_usd is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """What DefiLlama lists of a chain; its id may be missing."""

    name: str
    chain_id: int | None
    tvl_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What DefiLlama said: the figures by slug, of those chains of which it said anything; and the
    calls that were made for them."""

    figures: Mapping[str, Figures]
    calls: Sequence[Called] = ()


def volumes(chains: Iterable[Chain]) -> Said:
    """The figures of those of the chains that DefiLlama knows.

    All are asked side by side, each a second time where it failed for a moment. What fails then
    is logged, and leaves its figure out.
    """
    endpoint = endpoints.find(Service.DEFILLAMA)
    known = {chain.slug: chain for chain in chains if chain.llama_name}
    if endpoint is None or not known:
        return Said(figures={})
    limits.declare(TARGET.provider, per_minute=0 if endpoint.is_simulated else PER_MINUTE)
    works: dict[str, Callable[[], Any]] = {
        slug: partial(_guarded, volume, endpoint, chain.llama_name) for slug, chain in known.items()
    }
    works[LOCKED] = partial(_guarded, locked, endpoint)
    done = abreast.run(works)
    listed = _value(done[LOCKED], what="value locked") or []
    found = {
        slug: Figures(
            volume24h_usd=_value(done[slug], what=f"volume of {slug}"),
            tvl_usd=locked_in(chain, listed),
            simulated=endpoint.is_simulated,
        )
        for slug, chain in known.items()
    }
    known_figures = {slug: one for slug, one in found.items() if one.is_known}
    return Said(figures=known_figures, calls=list(_calls(done.values())))


def _calls(ends: Iterable[Done[Any]]) -> Iterator[Called]:
    """The calls that were made, and how each ended; what was held back was not made."""
    for done in ends:
        fault = done.error.fault if isinstance(done.error, CallFailed) else None
        if fault is not Fault.HELD_BACK:
            took_ms = round(done.duration_s * 1000)
            yield Called(provider=Service.DEFILLAMA, fault=fault, duration_ms=took_ms)


def _value(done: Done[Any], *, what: str) -> Any:
    """What a call brought; None, and a line in the log, where it failed."""
    if isinstance(done.error, CallFailed):
        log.warning("DefiLlama did not say", what=what, fault=done.error.fault.value)
        return None
    return done.result()


def volume(endpoint: Endpoint, name: str) -> Decimal:
    """What is traded on the chain's exchanges in 24 hours, in USD to the cent.

    Raises CallFailed; MALFORMED, too, where it tells no figure.
    """
    # Without these it sends years of data.
    flags = {"excludeTotalDataChart": "true", "excludeTotalDataChartBreakdown": "true"}
    answer = _asked(endpoint, f"/overview/dexs/{quote(name, safe='')}", params=flags)
    return _usd(answer["total24h"])


def locked(endpoint: Endpoint) -> list[Locked]:
    """The value locked in every chain that DefiLlama lists; raises CallFailed.

    Rows that are no chain's are left out, so that one odd row costs no other.
    """
    found = []
    for row in _asked(endpoint, "/v2/chains"):
        try:
            found.append(_row(row))
        except CallFailed as failure:
            log.debug("a chain is left out", why=str(failure))
    return found


def locked_in(chain: Chain, listed: Sequence[Locked]) -> Decimal | None:
    """The value locked in the chain: by its id, else by its name where the row has no id."""
    name = chain.llama_name.lower()
    by_id = {row.chain_id: row.tvl_usd for row in listed}
    by_name = {row.name.lower(): row.tvl_usd for row in listed if row.chain_id is None}
    return by_id.get(chain.chain_id, by_name.get(name))


def _row(row: Reading) -> Locked:
    number = row["chainId"]
    return Locked(
        name=row["name"].text(),
        chain_id=None if number.is_missing else int(number.number()),
        tvl_usd=_usd(row["tvl"]),
    )


def _usd(figure: Reading) -> Decimal:
    return figure.number(below=LARGEST_USD).quantize(CENTS, ROUND_HALF_EVEN)


def _guarded(ask: Callable[..., Any], endpoint: Endpoint, *args: Any) -> Any:
    """What it answers; asked once more where it failed for a moment and within its timeout."""

    def once() -> Any:
        with guarded(TARGET, timeout_s=endpoint.timeout_s):
            return ask(endpoint, *args)

    return retrying(once, target=TARGET, policy=ONCE_MORE, deadline_s=endpoint.timeout_s)


def _asked(endpoint: Endpoint, path: str, *, params: Mapping[str, str] | None = None) -> Reading:
    body = http.get_json(
        # The address of a paid plan holds its key.
        SecretStr(endpoint.url(path)),
        server=SERVER,
        timeout_s=endpoint.timeout_s,
        headers=endpoint.headers,
        max_bytes=LARGEST_ANSWER,
        params=params,
    )
    return Reading(body, server=SERVER)
