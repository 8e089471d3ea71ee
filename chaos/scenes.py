"""The scenes of trading in which a process may die: what stands before, and what it then does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from apps.exchange import matching, orders
from apps.exchange.models import Order, OrderType, SelfTrade, TimeInForce
from chaos import stages
from chaos.stages import Stage
from moonx.core import clock

Arguments = dict[str, Any]
REQUESTS = ("place", "cancel", "cancel_all", "bust", "correct")


def sweep_orders() -> None:
    """What beat would do next about orders."""
    matching.sweep()
    orders.expire_due()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A step of `chaos.steps` and what it is called upon. Where the step is a sweep, the next one,
    `finish`, goes on with what it had begun; where it is a request, nobody asks again."""

    step: str
    prepare: Callable[[Stage], Arguments]
    owners: int = 4
    rich: bool = True
    finish: Callable[[], None] = sweep_orders

    @property
    def is_request(self) -> bool:
        """Whether it may be as if it had never been asked for."""
        return self.step in REQUESTS


def _order(side: str, price: str | None, quantity: str | None, **more: str) -> dict[str, str]:
    kind = "LIMIT" if price else "MARKET"
    fields = {"side": side, "type": kind, "client_order_id": "mine", **more}
    if price:
        fields["price"] = price
    if quantity:
        fields["quantity"] = quantity
    return fields


def _places(stage: Stage, owner: int, fields: Mapping[str, str]) -> Arguments:
    return {
        "symbol": stage.market.symbol,
        "owner": stage.owners[owner],
        "fields": dict(fields),
    }


def rests(stage: Stage) -> Arguments:
    """Nothing to trade with; the owner's base account is opened by it."""
    return _places(stage, 0, _order("BUY", "9.99", "3"))


def trades(stage: Stage) -> Arguments:
    """Two makers are filled, what is left rests."""
    stage.place(1, "SELL", "10.00", "2", client_order_id="one")
    stage.place(2, "SELL", "10.01", "2.5", client_order_id="two")
    return _places(stage, 0, _order("BUY", "10.02", "7"))


def triggers(stage: Stage) -> Arguments:
    """Its trade triggers a stop, which trades too."""
    stop = {"type": OrderType.STOP_LOSS_LIMIT, "stop_price": Decimal("10.01")}
    stage.place(1, "SELL", "10.00", "1", client_order_id="one")
    stage.place(2, "SELL", "10.02", "4", client_order_id="two")
    stage.place(3, "BUY", "10.05", "2", client_order_id="stop", **stop)
    return _places(stage, 0, _order("BUY", "10.02", "2"))


def meets_itself(stage: Stage) -> Arguments:
    """An order of its own owner stands in the way, behind one of somebody else."""
    stage.place(1, "SELL", "10.00", "1", client_order_id="other")
    stage.place(0, "SELL", "10.01", "2", client_order_id="own")
    own = SelfTrade.DECREMENT.value
    return _places(stage, 0, _order("BUY", "10.02", "5", self_trade=own))


def is_rejected(stage: Stage) -> Arguments:
    """A maker that would take: stored, rejected, its hold freed."""
    stage.place(1, "SELL", "10.00", "1", client_order_id="one")
    return _places(stage, 0, _order("BUY", "10.00", "1", type=OrderType.LIMIT_MAKER.value))


def buys_for_an_amount(stage: Stage) -> Arguments:
    """A market order by quote amount over two levels."""
    stage.place(1, "SELL", "10.00", "1", client_order_id="one")
    stage.place(2, "SELL", "10.10", "5", client_order_id="two")
    return _places(stage, 0, _order("BUY", None, None, quote_order_quantity="33.333333"))


def arrived(stage: Stage) -> Arguments:
    """Five orders whose placers died are matched as one batch."""
    stage.place(1, "SELL", "10.00", "4", client_order_id="one")
    for number in range(5):
        side, price = ("BUY", "10.00") if number % 2 else ("SELL", "9.90")
        stage.arrive(number % 4, side, price, "1.5", client_order_id=f"late {number}")
    return {"symbol": stage.market.symbol}


def swept(stage: Stage) -> Arguments:
    """The same, found by the sweep."""
    arrived(stage)
    return {}


def cancels(stage: Stage) -> Arguments:
    """An order that is partly filled."""
    stage.place(0, "BUY", "10.01", "3", client_order_id="mine")
    stage.place(1, "SELL", "10.00", "1", client_order_id="one")
    return {
        "symbol": stage.market.symbol,
        "owner": stage.owners[0],
        "client_order_id": "mine",
    }


def cancels_all(stage: Stage) -> Arguments:
    """Both sides, a stop and an order that was not matched yet."""
    stage.place(0, "BUY", "9.00", "3", client_order_id="bid")
    stage.place(0, "SELL", "11.00", "2", client_order_id="ask")
    stop = {"type": OrderType.TAKE_PROFIT_LIMIT, "stop_price": Decimal(12)}
    stage.place(0, "SELL", "11.50", "1", client_order_id="stop", **stop)
    stage.arrive(0, "BUY", "8.00", "1", client_order_id="late")
    return {"symbol": stage.market.symbol, "owner": stage.owners[0]}


def expires(stage: Stage) -> Arguments:
    """Three orders of two owners whose time is over: one partly filled, one an untriggered stop."""
    later = {
        "time_in_force": TimeInForce.GTD,
        "expires_at": clock.db_now() + timedelta(minutes=10),
    }
    stop = {"type": OrderType.STOP_LOSS_LIMIT, "stop_price": Decimal(5)}
    stage.place(0, "BUY", "10.01", "3", client_order_id="filled", **later)
    stage.place(1, "SELL", "10.00", "1", client_order_id="one")
    stage.place(0, "SELL", "10.50", "2", client_order_id="ask", **later)
    stage.place(2, "SELL", "4.90", "2", client_order_id="stop", **later, **stop)
    # Their time is over: nothing is said to anybody by that alone.
    Order.objects.filter(market=stage.market, expires_at__isnull=False).update(
        expires_at=clock.db_now()
    )
    return {}


SCENES = {
    "an order rests": Scene(step="place", prepare=rests, rich=False),
    "an order trades": Scene(step="place", prepare=trades),
    "an order triggers a stop": Scene(step="place", prepare=triggers),
    "an order meets its own": Scene(step="place", prepare=meets_itself),
    "an order is rejected": Scene(step="place", prepare=is_rejected),
    "an amount is spent": Scene(step="place", prepare=buys_for_an_amount),
    "a batch is matched": Scene(step="match", prepare=arrived),
    "the sweep matches": Scene(step="sweep", prepare=swept),
    "an order is canceled": Scene(step="cancel", prepare=cancels),
    "all orders are canceled": Scene(step="cancel_all", prepare=cancels_all),
    "orders expire": Scene(step="expire", prepare=expires),
}


def set_up(scene: Scene) -> tuple[Stage, Arguments]:
    """A fresh stage on which the scene can begin."""
    stage = stages.build(owners=scene.owners, rich=scene.rich)
    return stage, scene.prepare(stage)
