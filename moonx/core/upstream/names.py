"""The outside services, by the names that are shown."""

from enum import StrEnum


class Service(StrEnum):
    """Whom we ask for what the chains themselves do not tell."""

    LIFI = "lifi"
    RELAY = "relay"
    ONEINCH = "1inch"
    DEFILLAMA = "defillama"
    DEFILLAMA_COINS = "defillama-coins"
    ALCHEMY = "alchemy"
    BINANCE = "binance"
    COINGECKO = "coingecko"
    DEXSCREENER = "dexscreener"


class Standing(StrEnum):
    """What answers for a service."""

    REAL = "real"
    SIMULATED = "simulated"
    OFF = "off"
