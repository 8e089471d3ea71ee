"""What is watched: every bridge that is not off, on every corridor, in every size."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from django.conf import settings

from apps.stats.bridges import lifi, oneinch, relay
from apps.stats.bridges.load import ALLOWANCES, Allowance
from apps.stats.bridges.quotes import Ask
from moonx.core.resilience import CallClass, Target, limits
from moonx.core.upstream import corridors, endpoints
from moonx.core.upstream.corridors import Probe
from moonx.core.upstream.endpoints import Endpoint
from moonx.core.upstream.names import Service

BRIDGES: Mapping[Service, Ask] = {
    Service.LIFI: lifi.ask,
    Service.RELAY: relay.ask,
    Service.ONEINCH: oneinch.ask,
}


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """What has a verdict of its own: a bridge, a way and a size in whole coins."""

    provider: str
    source: str
    target: str
    size: int

    def __str__(self) -> str:
        return f"bridge:{self.provider}:{self.source}:{self.target}:{self.size}"


def subject_of(service: Service, probe: Probe) -> Subject:
    """Under what the probe's answers by that bridge are known."""
    way = probe.corridor
    return Subject(service.value, way.source.chain, way.target.chain, probe.size)


def target_of(service: Service) -> Target:
    """The bridge's circuit: it quotes all ways from one place."""
    return Target(provider=service.value, kind=CallClass.QUOTE)


def watched() -> dict[Service, Endpoint]:
    """The bridges that are not off, and how each is asked."""
    found = {service: endpoints.find(service) for service in BRIDGES}
    return {service: endpoint for service, endpoint in found.items() if endpoint is not None}


def allowance(service: Service, endpoint: Endpoint) -> Allowance | None:
    """What the bridge allows whoever asks as we do; None of the simulator, which never minds."""
    return None if endpoint.is_simulated else ALLOWANCES[service, endpoint.has_key]


def declare(service: Service, endpoint: Endpoint) -> None:
    """Sets what all workers together may ask of the bridge."""
    found = allowance(service, endpoint)
    limits.declare(
        service.value,
        per_minute=found.per_minute if found else 0,
        per_second=found.per_second if found else 0,
    )


def probes() -> list[Probe]:
    """What each bridge is asked for, by the settings; they were checked at the start."""
    return _probes(settings.ENV.bridge_corridors, settings.ENV.bridge_sizes)


@cache
def _probes(ways: tuple[str, ...], sizes: tuple[str, ...]) -> list[Probe]:
    return corridors.probes(ways, sizes)
