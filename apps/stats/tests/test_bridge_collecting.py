"""One look at all bridges, against the simulator: what is asked, kept and told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.stats.bridges import collecting
from apps.stats.models import BridgeSample, Published
from moonx.simulator.tests.server import Simulator

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
KEYS = 3 * 3 * 3  # bridges, corridors, sizes


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator, settings: Any, clean_valkey: None) -> Simulator:
    """A quick one that stands in for all bridges."""
    settings.ENV = settings.ENV.model_copy(update={"simulator_url": running.url})
    running.order(seed=1, service="*", latencyMs=1)
    return running


def test_smoke(simulator: Simulator, committed_db: None) -> None:
    for minute in range(6):
        print(collecting.collect(now=NOW + timedelta(seconds=20 * minute)))
    for row in Published.objects.all()[:3]:
        print(row.payload)
    print(BridgeSample.objects.first().__dict__)
