"""`/api/v1/stats/chains`, `/bridges`, `/overview`: how all of them do now."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router

from apps.stats import freshness, publishing
from apps.stats.api import blanks, schemas
from apps.stats.api.answers import FAULTS, answer, weighing
from apps.stats.freshness import Age, Kind
from moonx.core import clock
from moonx.core.chains import registry
from moonx.core.chains.models import Chain
from moonx.core.intervals import to_ms

router = Router(tags=["Statistics"])

WEIGHT = 2

# What is known of something besides its payload, and the payload.
Item = tuple[Mapping[str, Any], Mapping[str, Any]]


@router.get("/chains", response={200: schemas.Chains, **FAULTS}, by_alias=True)
@weighing(WEIGHT)
def chains(request: HttpRequest) -> HttpResponse:
    """How each chain does: its verdict with the reasons, its providers, its figures.

    A chain that is off, or was not looked at yet, is `unknown`. Figures that are stale are the last
    good ones. The channel `chain:<chainId>` tells changes at once.
    """
    rows = publishing.newest("chain:")
    on = {chain.slug for chain in registry.enabled()}
    items: list[Item] = [
        (_described(chain, is_enabled=chain.slug in on), _payload(rows, chain))
        for chain in registry.all()
    ]
    return _list(request, "chains", items, after=freshness.after(Kind.CHAINS))


@router.get("/bridges", response={200: schemas.Bridges, **FAULTS}, by_alias=True)
@weighing(WEIGHT)
def bridges(request: HttpRequest) -> HttpResponse:
    """How fast each bridge quotes, by corridor and size, and how often it does at all.

    The channel `bridges` tells changes at once.
    """
    rows = publishing.newest("bridge:")
    items: list[Item] = [({}, rows[subject].payload) for subject in sorted(rows)]
    return _list(request, "bridges", items, after=freshness.after(Kind.BRIDGES))


@router.get("/overview", response={200: schemas.Overview, **FAULTS}, by_alias=True)
@weighing(WEIGHT)
def overview(request: HttpRequest) -> HttpResponse:
    """Chains and bridges by verdict, and the totals over all chains.

    The channel `overview` tells changes at once.
    """
    row = publishing.newest("overview").get("overview")
    now_ms = to_ms(clock.db_now())
    payload = dict(row.payload) if row else blanks.overview()
    payload["publishedAt"] = payload.pop("asOf")
    after = freshness.after(Kind.OVERVIEW)
    age = Age.of(payload["publishedAt"], now_ms=now_ms, after=after)
    payload["isStale"], payload["staleAfterMs"] = age.is_stale, age.after_ms
    return answer(request, payload, asOf=now_ms, ageMs=age.ms)


def _list(
    request: HttpRequest, name: str, items: Sequence[Item], *, after: timedelta
) -> HttpResponse:
    """The answer of a list of payloads, each with what is known of it besides."""
    now_ms = to_ms(clock.db_now())
    ages = [Age.of(payload["sampledAt"], now_ms=now_ms, after=after) for _, payload in items]
    found = [
        {**more, **freshness.judged(payload, age)}
        for (more, payload), age in zip(items, ages, strict=True)
    ]
    return answer(request, {name: found}, asOf=now_ms, **{name: _with_ages(found, ages)})


def _with_ages(items: Iterable[Mapping[str, Any]], ages: Iterable[Age]) -> list[dict[str, Any]]:
    return [{**item, "ageMs": age.ms} for item, age in zip(items, ages, strict=True)]


def _described(chain: Chain, *, is_enabled: bool) -> dict[str, Any]:
    return {
        "name": chain.name,
        "nativeAsset": chain.native_asset,
        "isEnabled": is_enabled,
        "blockTimeTargetMs": chain.block_time_ms,
    }


def _payload(rows: Mapping[str, Any], chain: Chain) -> Mapping[str, Any]:
    row = rows.get(f"chain:{chain.slug}")
    payload: Mapping[str, Any] = row.payload if row else blanks.chain(chain)
    return payload
