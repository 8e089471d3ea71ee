"""Who takes part in the demo, and what the demo gave them: once, by journals of kind `demo`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.contrib.auth.models import User

from apps.exchange import keys, ledger
from apps.exchange.demo import markets
from apps.exchange.keys import SealBroken
from moonx.core import logs, money

log = logs.get("moonx.demo")

GUESTS = ("alice", "bob")
GUEST_FUNDS = {
    "USDC": Decimal(100_000),
    "ETH": Decimal(50),
    "BTC": Decimal(2),
    "XRP": Decimal(100_000),
}
MAKERS = ("demo-maker-1", "demo-maker-2")
TAKERS = ("demo-taker-1", "demo-taker-2")
MAKER_FUNDS = {"USDC": Decimal(20_000_000), "ETH": Decimal(3_000), "BTC": Decimal(100)}
TAKER_FUNDS = {"USDC": Decimal(5_000_000), "ETH": Decimal(1_000), "BTC": Decimal(40)}
FUNDS = dict.fromkeys(MAKERS, MAKER_FUNDS) | dict.fromkeys(TAKERS, TAKER_FUNDS)
LABEL = "demo trader"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trader:
    """A demo trader and what it signs with."""

    name: str
    user_id: int
    key: str
    secret: str


def prepare() -> list[Trader]:
    """Makes sure that the guests are funded, and that the demo traders stand with funds and keys.

    Interrupted anywhere, it finishes the next time.
    """
    for user in User.objects.filter(username__in=GUESTS):
        fund(user.pk, user.username, GUEST_FUNDS, source="start")
    return [_trader(name, funds) for name, funds in FUNDS.items()]


def fund(user_id: int, name: str, funds: Mapping[str, Decimal], *, source: str) -> None:
    """Gives what this source has not given yet; alike at any number of calls."""
    for symbol, amount in funds.items():
        asset = markets.asset(symbol)
        if ledger.fund(user_id, asset, amount, source=f"{source}/{name}/{symbol}"):
            given = money.plain(amount)
            log.info("demo funds given", user=name, asset=symbol, amount=given, source=source)


def refill(trader: Trader, symbol: str, *, now: datetime) -> None:
    """What a trader began with, again; at most once an hour for each asset."""
    source = f"refill-{now:%Y%m%dT%H}"
    fund(trader.user_id, trader.name, {symbol: FUNDS[trader.name][symbol]}, source=source)


def _trader(name: str, funds: Mapping[str, Decimal]) -> Trader:
    user, is_new = User.objects.get_or_create(username=name, defaults={"password": "!"})
    if is_new:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    fund(user.pk, name, funds, source="start")
    key, secret = _signing(user.pk)
    return Trader(name=name, user_id=user.pk, key=key, secret=secret)


def _signing(user_id: int) -> tuple[str, str]:
    """Its key and secret: those of the last start while they stand, else new ones."""
    row = keys.standing(user_id).filter(label=LABEL, may_trade=True).first()
    if row is not None:
        try:
            return row.key, keys.unseal(bytes(row.sealed_secret)).decode()
        except SealBroken:
            keys.revoke(user_id, row.key)
    issued = keys.issue(user_id, label=LABEL, may_trade=True, addresses=["127.0.0.1/32"])
    return issued.row.key, issued.secret
