"""Which ways bridges are watched on: an asset, from chain to chain, in some sizes; pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from moonx.core.upstream import coins
from moonx.core.upstream.coins import Coin, UnknownCoin

FORM = re.compile(r"(?P<asset>[A-Za-z0-9]{1,10}):(?P<source>[a-z]{1,20})>(?P<target>[a-z]{1,20})")
PLAIN = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)
LARGEST_SIZE = 1_000_000
# Relay takes 50 quotes a minute from one who has no key: a run that asks more can never be whole.
MOST_QUOTES = 45


class BadCorridors(ValueError):
    """Corridors or sizes that cannot be watched; the message names every fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corridor:
    """One asset's way from one chain to another."""

    source: Coin
    target: Coin

    @property
    def asset(self) -> str:
        return self.source.symbol

    def __str__(self) -> str:
        return f"{self.asset}:{self.source.chain}>{self.target.chain}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What one quote is asked for: a corridor and how many whole coins."""

    corridor: Corridor
    size: int

    @property
    def amount(self) -> int:
        """The size in the smallest unit of the coin that is sent."""
        return self.corridor.source.base_units(Decimal(self.size))


def probes(ways: Sequence[str], sizes: Sequence[str]) -> list[Probe]:
    """Each corridor in each size, in the order given; BadCorridors for what cannot be watched."""
    found, amounts = corridors(ways), quote_sizes(sizes)
    if len(found) * len(amounts) > MOST_QUOTES:
        raise BadCorridors(
            f"{len(found)} corridors in {len(amounts)} sizes are more than {MOST_QUOTES} quotes a "
            "run: name fewer"
        )
    return [Probe(corridor=one, size=size) for one in found for size in amounts]


def corridors(texts: Sequence[str]) -> list[Corridor]:
    """The corridors, each spelled like `USDC:ethereum>base`; BadCorridors names every fault."""
    _refuse(_corridor_faults(texts))
    return [_corridor(text) for text in texts]


def quote_sizes(texts: Sequence[str]) -> list[int]:
    """The sizes, in whole coins; BadCorridors names every fault."""
    _refuse(_size_faults(texts))
    return [int(text) for text in texts]


def _refuse(faults: Iterator[str]) -> None:
    if found := list(faults):
        raise BadCorridors("; ".join(found))


def _corridor(text: str) -> Corridor:
    match = FORM.fullmatch(text)
    if match is None:
        raise BadCorridors(f"{text[:40]!r} is not spelled like USDC:ethereum>base")
    if match["source"] == match["target"]:
        raise BadCorridors(f"{text} leads nowhere: name two chains")
    asset = match["asset"].upper()
    try:
        source, target = (coins.find(match[end], asset) for end in ("source", "target"))
    except UnknownCoin as error:
        raise BadCorridors(f"{text}: {error}") from error
    return Corridor(source=source, target=target)


def _corridor_faults(texts: Sequence[str]) -> Iterator[str]:
    if not texts:
        yield "no corridor is named"
    ways: set[tuple[str, str]] = set()
    for text in texts:
        try:
            corridor = _corridor(text)
        except BadCorridors as error:
            yield str(error)
            continue
        way = corridor.source.chain, corridor.target.chain
        if way in ways:
            yield f"{text}: {'>'.join(way)} is named twice, and figures are told apart by chains"
        ways.add(way)


def _size_faults(texts: Sequence[str]) -> Iterator[str]:
    if not texts:
        yield "no size is named"
    if len(set(texts)) < len(texts):
        yield "a size is named twice"
    for text in texts:
        if not PLAIN.fullmatch(text) or int(text) > LARGEST_SIZE:
            yield f"size {text[:20]!r} is not a whole number of coins from 1 to {LARGEST_SIZE}"
