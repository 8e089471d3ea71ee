"""A web process and a relay on the test worker's own database, and markets to trade on."""

import os
import subprocess
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from django.contrib.auth.models import User
from django.db import connections

from apps.exchange import amending, ledger, orders, tickers, trades
from apps.exchange.amending import Request
from apps.exchange.models import Asset, Market, Order, OrderType, Side, TradeSource
from apps.exchange.orders import NewOrder
from apps.exchange.tests import factory
from apps.exchange.trades import Executed, NewTrade
from moonx.core import clock
from moonx.roles import ROOT, command_for
from moonx.settings import env
from moonx.up.ports import find_ports
from moonx.up.process import wait_until

NO_SERVER = "http://127.0.0.1:9"
START_S = 120  # a busy machine may be slow
Result = TypeVar("Result")


class Site:
    """The processes behind the page; `origin` is where it is."""

    def __init__(self, *, anonymous_read: bool = True) -> None:
        self.port = find_ports(Path(f"site-{os.getpid()}"), ["web"])["web"]
        self.origin = f"http://127.0.0.1:{self.port}"
        self._env = {
            **os.environ,
            "MOONX_PORT": str(self.port),
            "MOONX_HOST": "127.0.0.1",
            "ANONYMOUS_READ": str(anonymous_read).lower(),
            "RPC_URL_BASE": NO_SERVER,  # a chain is watched that has a provider, whoever asks it
        }
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        # Playwright keeps an event loop on the test's thread, where Django refuses to query.
        self._database = ThreadPoolExecutor(max_workers=1)

    def start(self) -> None:
        """Starts everything and returns when the page answers."""
        self._spawn("relay")
        self.start_web()

    def start_web(self) -> None:
        """Starts the web process, on the same port as before."""
        self._spawn("web")
        assert wait_until(self._answers, timeout_s=START_S, pause_s=0.1), "the page never came up"

    def kill_web(self) -> None:
        """Ends the web process without a word to anyone."""
        child = self._children.pop("web")
        child.kill()
        child.wait()

    def stop(self) -> None:
        """Ends what was started."""
        for child in self._children.values():
            child.kill()
        for child in self._children.values():
            child.wait()
        self.database(connections.close_all)
        self._database.shutdown()

    def database(self, work: Callable[[], Result]) -> Result:
        """Runs database work where it is allowed."""
        return self._database.submit(work).result()

    def _spawn(self, role: str) -> None:
        variables = {**self._env, "MOONX_ROLE": role, "MOONX_SERVICE": role}
        settings = env.load(moonx_port=self.port, moonx_host="127.0.0.1")
        self._children[role] = subprocess.Popen(
            command_for(role, settings), cwd=ROOT, env=variables, stdout=subprocess.DEVNULL
        )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.origin}/docs", timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False


class Stall:
    """One market of a site, to trade on."""

    def __init__(self, site: Site, base: str) -> None:
        self.site = site
        self.market = site.database(lambda: _market(base))
        self.symbol = self.market.symbol

    def trade(self, *prices: str, quantity: str = "10", sold: bool = False) -> list[Executed]:
        """Records a trade at each price, now."""
        news = [
            NewTrade(price=Decimal(price), quantity=Decimal(quantity), is_buyer_maker=sold)
            for price in prices
        ]
        return self.site.database(
            lambda: trades.record(self.market, news, source=TradeSource.REPLAYED)
        )

    def bust(self, seq: int) -> None:
        """An operator takes a trade back."""
        why = Request(reason="entered twice", by="ops")
        self.site.database(lambda: amending.bust(self.market, seq, why))

    def traded(self, *moments: datetime) -> None:
        """Records past trades at these moments, oldest first, at prices that go up and down."""
        executed = [
            factory.trade(seq, moment, f"{100 + seq % 7}.{seq % 100:02d}", "0.125")
            for seq, moment in enumerate(moments, start=1)
        ]
        self.site.database(
            lambda: factory.traded_all(self.market, executed, source=TradeSource.REPLAYED)
        )

    def place(self, owner: int, side: str, price: str, quantity: str) -> Order:
        """Another trader's limit order."""
        new = NewOrder(
            side=Side(side.upper()),
            type=OrderType.LIMIT,
            price=Decimal(price),
            quantity=Decimal(quantity),
        )
        return self.site.database(lambda: orders.place(self.market, owner, new))

    def trader(self, name: str, *, base: str = "1000", quote: str = "1000000") -> int:
        """An account that may sign in, with that much of both assets."""
        return self.site.database(lambda: _trader(self.market, name, base=base, quote=quote))

    def update_tickers(self) -> None:
        """What the schedule does every few seconds."""
        self.site.database(_update_tickers)


def _update_tickers() -> None:
    tickers.update()
    tickers.push(now=clock.db_now())


PASSWORD = "correct horse"


def _trader(market: Market, name: str, *, base: str, quote: str) -> int:
    user = User.objects.create_user(name, "", PASSWORD)
    for asset, amount in ((market.base, base), (market.quote, quote)):
        ledger.fund(user.pk, asset, Decimal(amount), source=f"test:{name}:{asset.symbol}")
    return user.pk


def _market(base: str) -> Market:
    asset, _ = Asset.objects.get_or_create(symbol=base, defaults={"name": base, "decimals": 8})
    quote, _ = Asset.objects.get_or_create(symbol="USDC", defaults={"name": "USDC", "decimals": 8})
    return Market.objects.create(
        symbol=f"{base}USDC",
        base=asset,
        quote=quote,
        tick_size=Decimal("0.01"),
        step_size=Decimal("0.001"),
    )
