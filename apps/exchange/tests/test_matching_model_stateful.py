"""A market and a naive model of it, driven side by side through whatever hypothesis thinks of."""

from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from random import Random

import pytest
from django.db.models import Sum
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from apps.exchange import matching, orders
from apps.exchange.models import Account, Fill, MarketStatus, Order
from apps.exchange.orders import NewOrder, OrderRefused, placing
from chaos import floor, replay, stages, wishes
from chaos.model import PaperMarket, changes_of
from chaos.stages import FUNDS
from moonx.core import clock

SEEDS = st.integers(0, 2**32)
OWNERS = st.integers(0, 2)
# Of GTD orders, in seconds: far enough from every minute for a slow machine.
LIVES_S = tuple((60.0 * minutes + 30, 60.0 * minutes + 30) for minutes in range(1, 5))
CLOSED = ("HALT", "POST_ONLY")


class Floor(RuleBasedStateMachine):
    """Three owners in one market; time passes by the minute, for rows and model alike."""

    trades = 0  # in all examples

    def __init__(self) -> None:
        super().__init__()
        self.stage = stages.build(owners=3, funds=FUNDS * 10)
        market = self.stage.market
        self.paper = PaperMarket(step=Fraction(market.step_size), atoms=10**market.quote.decimals)
        self.waiting: list[int] = []

    @initialize(seed=SEEDS)
    def open(self, seed: int) -> None:
        """A book to begin with."""
        self.rush([seed + number for number in range(16)])

    @rule(seed=SEEDS, owner=OWNERS)
    def place(self, seed: int, owner: int) -> None:
        """An order, matched with all that have arrived before it."""
        self._ask(seed, owner, lambda new, who: orders.place(self.stage.market, who, new).pk)
        self._take()

    @rule(seed=SEEDS, owner=OWNERS)
    def arrive(self, seed: int, owner: int) -> None:
        """An order whose placer is gone before it is matched."""
        self._ask(seed, owner, lambda new, who: placing.accept(self.stage.market, who, new))

    @rule(seeds=st.lists(SEEDS, min_size=3, max_size=8))
    def rush(self, seeds: list[int]) -> None:
        """Many at once, matched as one batch."""
        for seed in seeds:
            self.arrive(seed, seed % 3)
        self.sweep()

    @rule()
    def sweep(self) -> None:
        matching.sweep()
        self._take()

    @rule(seed=SEEDS)
    def cancel(self, seed: int) -> None:
        """Any order, done or not, arrived or resting."""
        rows = list(self._rows().values())
        if not rows:
            return
        order = rows[seed % len(rows)]
        try:
            orders.cancel(self.stage.market, order["owner_id"], order_id=order["id"])
            was_open = True
        except orders.UnknownOrder:
            was_open = False
        assert was_open == (self.paper.cancel(order["id"]) or order["id"] in self.waiting)
        self._forget(order["id"])

    @rule(owner=OWNERS)
    def cancel_all(self, owner: int) -> None:
        who = self.stage.owners[owner]
        rows = self._rows()
        waiting = {number for number in self.waiting if rows[number]["owner_id"] == who}
        on_paper = {number for number, one in self.paper.orders.items() if one.owner == who}
        expected = waiting | {number for number in on_paper if self.paper.cancel(number)}
        ended = [order.pk for order in orders.cancel_all(self.stage.market, who)]
        assert sorted(ended) == sorted(expected)
        for number in ended:
            self._forget(number)

    @rule(minutes=st.integers(1, 3))
    def advance(self, minutes: int) -> None:
        """Time passes: whatever has one, its time comes nearer."""
        passed = timedelta(minutes=minutes)
        for row in self._rows().values():
            if row["expires_at"] is not None and row["stage"] != "done":
                nearer = row["expires_at"] - passed
                Order.objects.filter(pk=row["id"]).update(expires_at=nearer)
                if row["id"] in self.paper.orders:
                    self.paper.orders[row["id"]].expires_at = nearer

    @rule()
    def expire(self) -> None:
        now, rows = clock.db_now(), self._rows()
        ends = {number: rows[number]["expires_at"] for number in self.waiting}
        due = {number for number, end in ends.items() if end is not None and end <= now}
        orders.expire_due()
        self.paper.expire(now)
        rows = self._rows()
        assert {number for number in self.waiting if rows[number]["stage"] == "done"} == due
        for number in due:
            self._forget(number)

    @precondition(lambda self: self.paper.status == "TRADING")
    @rule(status=st.sampled_from(CLOSED))
    def turn(self, status: str) -> None:
        """The market closes or opens; what has arrived is matched by what holds then."""
        floor.set_status(self.stage.market.symbol, status)
        self.stage.market.status = MarketStatus(status)
        self.paper.status = status

    @precondition(lambda self: self.paper.status != "TRADING")
    @rule()
    def reopen(self) -> None:
        self.turn("TRADING")

    @invariant()
    def every_order_is_as_on_paper(self) -> None:
        for number, row in self._rows().items():
            if number in self.waiting:
                assert (row["stage"], row["held"]) == ("arrived", row["hold"])
            else:
                assert not replay.difference(row, self.paper.orders.get(number)), row

    @invariant()
    def every_account_is_as_on_paper(self) -> None:
        changes = changes_of(self.paper)
        market = self.stage.market
        for account in Account.objects.filter(owner_id__in=self.stage.owners):
            which = "base" if account.asset_id == market.base_id else "quote"
            owner = account.owner_id or 0
            assert account.balance == Fraction(10 * FUNDS) + changes.get((owner, which), 0)
            side = "SELL" if which == "base" else "BUY"
            mine = Order.objects.filter(market=market, owner_id=owner, side=side)
            assert account.held == (mine.aggregate(held=Sum("held"))["held"] or 0)

    def teardown(self) -> None:
        Floor.trades += len(self.paper.fills)

    @invariant()
    def every_trade_has_two_fills(self) -> None:
        fills = Fill.objects.filter(market=self.stage.market).count()
        assert fills == 2 * len(self.paper.fills)

    def _ask(self, seed: int, owner: int, call: Callable[[NewOrder, int], int]) -> None:
        wish = wishes.wish(Random(seed), lives_s=LIVES_S)  # noqa: S311
        new = floor.order_of(self.stage.market, wish, client_order_id="")
        try:
            number = call(new, self.stage.owners[owner])
        except OrderRefused:
            return
        self.waiting.append(number)

    def _take(self) -> None:
        """What has arrived and was matched is taken by the model too, in the same order."""
        rows, now = self._rows(), clock.db_now()
        for number in sorted(self.waiting):
            if rows[number]["stage"] != "arrived":
                self.paper.arrive(replay.paper_of(rows[number]), now)
                self.waiting.remove(number)

    def _forget(self, number: int) -> None:
        if number in self.waiting:
            self.waiting.remove(number)

    def _rows(self) -> dict[int, replay.Row]:
        rows = Order.objects.filter(market=self.stage.market).values()
        return {row["id"]: dict(row) for row in rows}


@pytest.mark.usefixtures("committed_db", "clean_valkey")
def test_market_and_model_agree_after_every_step() -> None:
    run_state_machine_as_test(
        Floor,
        settings=settings(
            max_examples=8,
            stateful_step_count=14,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
    assert Floor.trades > 20  # it is no comparison where nothing happens
