"""What the slices of the fault runs share."""

from collections.abc import Iterator

import pytest

from apps.exchange.models import FeeTier, Trader
from chaos.nursery import Nursery


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as started:
        yield started


@pytest.fixture
def usual_fees(committed_db: None) -> Iterator[None]:
    """The fee tiers of a run, which no test may find afterwards."""
    yield
    Trader.objects.update(fee_tier=None)
    FeeTier.objects.exclude(is_default=True).delete()
