"""Who waits for whom: an account or a market that somebody holds delays no other."""

import psycopg
import pytest
from django.conf import settings

from apps.exchange import orders
from apps.exchange.tests import trading
from apps.exchange.tests.trading import buy, expire, gtd

pytestmark = pytest.mark.usefixtures("committed_db")


def test_an_account_that_is_held_keeps_only_its_own_market_waiting() -> None:
    here, there = trading.market("ETHUSDC"), trading.market("DAIUSDC")
    slow, quick = trading.trader(USDC="1000"), trading.trader(USDC="1000")
    expire(buy(here, slow, "100", "1", **gtd(hours=1)))
    expire(buy(there, quick, "100", "1", **gtd(hours=1)))
    with psycopg.connect(settings.ENV.direct_dsn()) as other:
        other.execute("SELECT FROM exchange_account WHERE owner_id = %s FOR UPDATE", [slow])
        done = orders.expire_due()
    assert (done.found, done.expired, done.errors) == (2, 1, 1)
    assert orders.expire_due().expired == 1
