"""What the simulated services agree on: chains, coins and prices, which sway with time."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from moonx.core.upstream import coins
from moonx.core.upstream.coins import CHAIN_IDS, Coin
from moonx.simulator.moods import chance

NATIVE = "0x" + "0" * 40
DAY_S = 86_400
SWAY_S = 3 * 3600
MOST_DIGITS = 78  # of the largest word of the EVM


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A chain as these services tell of it; amounts are USD, `llama` is DefiLlama's name."""

    slug: str
    name: str
    llama: str
    gecko: str
    native: str
    native_name: str
    tvl: int
    volume24h: int
    # Until a transfer from here may be trusted elsewhere.
    settles_s: int

    @property
    def chain_id(self) -> int:
        return CHAIN_IDS.get(self.slug, OTHER_IDS.get(self.slug, 0))


OTHER_IDS = {"rei": 47805}
CHAINS = (
    Chain(
        slug="ethereum", name="Ethereum", llama="Ethereum", gecko="ethereum", native="ETH",
        native_name="Ether", tvl=66_000_000_000, volume24h=2_100_000_000, settles_s=780,
    ),
    Chain(
        slug="base", name="Base", llama="Base", gecko="", native="ETH", native_name="Ether",
        tvl=4_300_000_000, volume24h=1_150_000_000, settles_s=4,
    ),
    Chain(
        slug="bsc", name="BNB Smart Chain", llama="BSC", gecko="binancecoin", native="BNB",
        native_name="BNB", tvl=6_900_000_000, volume24h=1_900_000_000, settles_s=8,
    ),
    Chain(
        slug="polygon", name="Polygon", llama="Polygon", gecko="polygon-ecosystem-token",
        native="POL", native_name="POL", tvl=1_100_000_000, volume24h=140_000_000, settles_s=8,
    ),
    Chain(
        slug="optimism", name="OP Mainnet", llama="OP Mainnet", gecko="optimism", native="ETH",
        native_name="Ether", tvl=480_000_000, volume24h=60_000_000, settles_s=4,
    ),
    Chain(
        slug="arbitrum", name="Arbitrum", llama="Arbitrum", gecko="arbitrum", native="ETH",
        native_name="Ether", tvl=2_900_000_000, volume24h=620_000_000, settles_s=4,
    ),
    Chain(
        slug="rei", name="REI Network", llama="REI", gecko="rei-network", native="REI",
        native_name="REI", tvl=300_000, volume24h=9_000, settles_s=9,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A coin with a price in USD, a market value and a daily volume."""

    gecko: str
    symbol: str
    name: str
    usd: Decimal
    supply: int
    volume24h: int
    sway: float = 0.02


LISTED = (
    Listed(
        gecko="bitcoin", symbol="BTC", name="Bitcoin", usd=Decimal(76_975),
        supply=20_030_000, volume24h=29_000_000_000,
    ),
    Listed(
        gecko="ethereum", symbol="ETH", name="Ethereum", usd=Decimal(2_240),
        supply=120_700_000, volume24h=15_000_000_000,
    ),
    Listed(
        gecko="binancecoin", symbol="BNB", name="BNB", usd=Decimal(640),
        supply=139_000_000, volume24h=1_700_000_000,
    ),
    Listed(
        gecko="polygon-ecosystem-token", symbol="POL", name="POL", usd=Decimal("0.21"),
        supply=10_500_000_000, volume24h=90_000_000, sway=0.04,
    ),
    Listed(
        gecko="usd-coin", symbol="USDC", name="USD Coin", usd=Decimal("0.9998"),
        supply=75_000_000_000, volume24h=9_000_000_000, sway=0.0003,
    ),
    Listed(
        gecko="tether", symbol="USDT", name="Tether", usd=Decimal("1.0002"),
        supply=185_000_000_000, volume24h=70_000_000_000, sway=0.0003,
    ),
    Listed(
        gecko="ripple", symbol="XRP", name="XRP", usd=Decimal("1.42"),
        supply=60_000_000_000, volume24h=2_600_000_000, sway=0.03,
    ),
)  # fmt: skip


def sway(name: str, *, now_s: float, share: float, period_s: float = SWAY_S) -> Decimal:
    """A factor near 1 that swings by `share`; things of different names swing apart."""
    phase = 2 * math.pi * (now_s / period_s + chance("phase", name))
    slow = math.sin(phase / 7.3)
    return Decimal(str(round(1 + share * (0.4 * math.sin(phase) + 0.6 * slow), 6)))


def usd(listed: Listed, *, now_s: float) -> Decimal:
    """The coin's price at a time."""
    return listed.usd * sway(listed.symbol, now_s=now_s, share=listed.sway)


def listed_by(*, symbol: str = "", gecko: str = "") -> Listed | None:
    """The coin of that symbol, in any case, or of that CoinGecko id."""
    for one in LISTED:
        if one.gecko == gecko or one.symbol == symbol.upper():
            return one
    return None


def chain_by(
    *, chain_id: int = 0, slug: str = "", llama: str = "", gecko: str = ""
) -> Chain | None:
    """The chain of that id, slug, DefiLlama name (in any case) or CoinGecko id."""
    for one in CHAINS:
        wanted = (one.chain_id == chain_id, one.slug == slug, one.llama.lower() == llama.lower())
        if any(wanted) or (gecko and one.gecko == gecko):
            return one
    return None


def coin_at(chain_id: int, address: str) -> Coin | None:
    """The coin at an address, in any case, or of that symbol."""
    for coin in coins.COINS:
        names = (coin.address.lower(), coin.symbol.lower())
        if coin.chain_id == chain_id and address.lower() in names:
            return coin
    return None


def is_address(text: str) -> bool:
    """Whether `text` is spelled like an account of an EVM chain."""
    return len(text) == 42 and text.startswith("0x") and _is_hex(text[2:])


def _is_hex(text: str) -> bool:
    return all(sign in "0123456789abcdefABCDEF" for sign in text)


def is_amount(text: object) -> bool:
    """Whether `text` is a positive whole number in digits that a word of the EVM can hold."""
    return isinstance(text, str) and 0 < (whole(text) or 0) < 2**256


def whole(text: str) -> int | None:
    """The whole number that `text` spells in digits, 0 or more; None for anything else."""
    is_whole = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
    return int(text) if is_whole else None


def code(*parts: object, digits: int = 64) -> str:
    """A made-up hash: the same for the same parts."""
    figures = (f"{int(chance(*parts, place) * 2**32):08x}" for place in range(-(-digits // 8)))
    return "0x" + "".join(figures)[:digits]


def uuid(*parts: object) -> str:
    """A made-up id: the same for the same parts."""
    text = code("uuid", *parts, digits=32)[2:]
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def iso(now_s: float) -> str:
    """The time as ISO 8601 to the second, in UTC."""
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def formatted(amount: int, decimals: int) -> str:
    """Base units as whole coins, without an exponent."""
    return format(Decimal(amount).scaleb(-decimals), "f")


def number(value: Decimal, *, places: int = 2) -> float:
    """A JSON number, for services that send their amounts as such."""
    return float(round(value, places))
