"""Which channels of market data there are."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.exchange.tests.factory import market
from moonx.core import topics
from moonx.core.intervals import Interval
from moonx.core.topics import UnknownTopic

pytestmark = pytest.mark.usefixtures("committed_db")


def test_many_channels_are_checked_with_one_query_a_family() -> None:
    symbol = market().symbol
    candles = [f"candles:{symbol}:{interval}" for interval in Interval]
    names = ["prices", f"ticker:{symbol}", f"trades:{symbol}", *candles]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        families = topics.find_all(names)
    assert [family.name for family in families[:4]] == ["prices", "ticker", "trades", "candles"]
    assert len(families) == len(names)
    assert len(queries) == 3


@pytest.mark.parametrize("wrong", ["ticker:NONE", "trades:NONE", "candles:NONE:1m", "nonsense"])
def test_one_channel_that_is_not_there_is_named(wrong: str) -> None:
    known = f"ticker:{market().symbol}"
    for check in (lambda: topics.find_all([known, wrong]), lambda: topics.find(wrong)):
        with pytest.raises(UnknownTopic, match=r"NONE|nonsense"):
            check()


def test_an_interval_that_is_not_there_is_told_those_that_are() -> None:
    with pytest.raises(UnknownTopic, match="use one of 1m"):
        topics.find_all([f"candles:{market().symbol}:7m"])
