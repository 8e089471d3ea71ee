"""The coins that quotes are asked for: where each lives and how many decimals it has there."""

from dataclasses import dataclass
from decimal import Decimal

CHAIN_IDS = {
    "ethereum": 1,
    "optimism": 10,
    "bsc": 56,
    "polygon": 137,
    "base": 8453,
    "arbitrum": 42161,
}


class UnknownCoin(ValueError):
    """No such coin on that chain; the message names those that there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coin:
    """A token on one chain."""

    chain: str
    symbol: str
    name: str
    address: str
    decimals: int

    @property
    def chain_id(self) -> int:
        return CHAIN_IDS[self.chain]

    def base_units(self, amount: Decimal) -> int:
        """`amount` whole coins in the token's smallest unit; what is below it is cut."""
        return int(amount.scaleb(self.decimals))


def _usdc(chain: str, address: str, *, decimals: int = 6) -> Coin:
    return Coin(chain=chain, symbol="USDC", name="USD Coin", address=address, decimals=decimals)


def _usdt(chain: str, address: str, *, decimals: int = 6) -> Coin:
    return Coin(chain=chain, symbol="USDT", name="Tether USD", address=address, decimals=decimals)


# Addresses and decimals as Circle, Tether and LI.FI's list give them. What Binance pegs on its own
# chain has 18 decimals, whatever the coin has elsewhere.
COINS = (
    _usdc("ethereum", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"),
    _usdc("optimism", "0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85"),
    _usdc("bsc", "0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d", decimals=18),
    _usdc("polygon", "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359"),
    _usdc("base", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
    _usdc("arbitrum", "0xaf88d065e77c8cC2239327C5EDb3A432268e5831"),
    _usdt("ethereum", "0xdAC17F958D2ee523a2206206994597C13D831ec7"),
    _usdt("optimism", "0x94b008aA00579c1307B0EF2c499aD98a8ce58e58"),
    _usdt("bsc", "0x55d398326f99059fF775485246999027B3197955", decimals=18),
    _usdt("polygon", "0xc2132D05D31c914a87C6611C10748AEb04B58e8F"),
    _usdt("arbitrum", "0xFd086bC7CD5C481DCC9C85ebE478A1C0b69FCbb9"),
)
_BY_NAME = {(coin.chain, coin.symbol): coin for coin in COINS}


def find(chain: str, symbol: str) -> Coin:
    """The coin of that symbol on that chain; raises UnknownCoin where there is none."""
    coin = _BY_NAME.get((chain, symbol))
    if coin is None:
        raise UnknownCoin(_why_not(chain, symbol))
    return coin


def _why_not(chain: str, symbol: str) -> str:
    if chain not in CHAIN_IDS:
        return f"there is no chain {chain[:20]!r}: use one of {', '.join(sorted(CHAIN_IDS))}"
    there = sorted(name for place, name in _BY_NAME if place == chain)
    return f"{symbol[:10]!r} is not known on {chain}: use one of {', '.join(there)}"
