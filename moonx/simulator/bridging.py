"""What any bridge says of a transfer: what arrives, what it costs, how long it takes."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from moonx.core.upstream.coins import Coin
from moonx.simulator import world
from moonx.simulator.serving import BadRequest

SMALLEST, LARGEST = Decimal(1), Decimal(250_000)  # coins; beyond them there is no route


class NoRoute(Exception):
    """Nobody carries that much, or that little."""


class TooLittle(NoRoute):
    """The fees would be more than what arrives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A quoted way; amounts are base units of their coin, USD are decimals."""

    source: Coin
    target: Coin
    amount: int
    received: int
    least: int
    fee: int
    fee_usd: Decimal
    gas: int
    gas_usd: Decimal
    seconds: int

    @property
    def size(self) -> Decimal:
        """What is sent, in whole coins."""
        return Decimal(self.amount).scaleb(-self.source.decimals)

    @property
    def received_size(self) -> Decimal:
        """What arrives, in whole coins."""
        return Decimal(self.received).scaleb(-self.target.decimals)


def transfer(
    bridge: str, *, source: Coin, target: Coin, amount: int, fee_bps: int, now_s: float
) -> Transfer:
    """The way of that amount over the bridge; raises NoRoute or TooLittle."""
    size = Decimal(amount).scaleb(-source.decimals)
    if size < SMALLEST:
        raise TooLittle(f"{size} {source.symbol}")
    if size > LARGEST:
        raise NoRoute(f"{size} {source.symbol}")
    swing = world.sway(f"{bridge}{source.chain}{target.chain}", now_s=now_s, share=0.2)
    fee = size * fee_bps / 10_000 * swing + Decimal("0.02")
    received = int((size - fee).scaleb(target.decimals))
    return Transfer(
        source=source,
        target=target,
        amount=amount,
        received=received,
        least=received * 995 // 1000,
        fee=int(fee.scaleb(source.decimals)),
        fee_usd=fee.quantize(Decimal("0.000001"), ROUND_HALF_EVEN),
        gas=int(180_000 * swing) * 10**8,
        gas_usd=(Decimal("0.04") * swing).quantize(Decimal("0.0001"), ROUND_HALF_EVEN),
        seconds=int(seconds(source, target) * swing),
    )


def seconds(source: Coin, target: Coin) -> int:
    """How long a transfer usually takes: until it is settled where it starts, and then some."""
    start = world.chain_by(slug=source.chain)
    return (start.settles_s if start else 60) + (20 if target.chain == "ethereum" else 6)


def coin(chain: object, address: object, *, field: str) -> Coin:
    """The coin at that address; raises BadRequest where there is none."""
    found = world.coin_at(world.whole(str(chain)) or 0, str(address))
    if found is None:
        raise BadRequest(f"{field} is not a known token of chain {str(chain)[:20]}")
    return found


def amount(text: object, *, field: str) -> int:
    """An amount in base units; raises BadRequest for anything else."""
    if not world.is_amount(text):
        raise BadRequest(f"{field} must be a positive whole number in digits")
    return int(str(text))
