"""Settings of the outside services: where each is, its key, how long it may take to answer."""

import re
from typing import Annotated

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode

from moonx.core.upstream import corridors

# Of the outside services and of what stands in for them.
ADDRESSES = (
    "simulator_url",
    "lifi_base_url",
    "relay_base_url",
    "oneinch_base_url",
    "defillama_base_url",
    "defillama_coins_base_url",
    "binance_base_url",
    "coingecko_base_url",
    "dexscreener_base_url",
)
ADDRESS = re.compile(r"https?://[^\s/?#@]+(/[^\s?#@]*)?", re.IGNORECASE)

CommaList = Annotated[tuple[str, ...], NoDecode]


def split_commas(value: object) -> object:
    """The parts of a comma separated text; what is no text stays as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class Outside(BaseSettings):
    """A service is asked for real where its address or its key is set, or nothing stands in."""

    simulator_url: str = Field(
        "",
        description="Stand-in for the outside services below; `make up` starts one where some of "
        "them are not set. What it feeds is labelled simulated.",
    )
    lifi_base_url: str = Field("https://li.quest/v1", description="LI.FI, which quotes bridges.")
    lifi_api_key: SecretStr = Field(
        SecretStr(""), description="Its key; without one it answers 75 quotes in two hours."
    )
    lifi_timeout: int = Field(10_000, ge=100, le=60_000, description="Its time to answer, ms.")
    relay_base_url: str = Field(
        "https://api.relay.link", description="Relay, which quotes bridges."
    )
    relay_api_key: SecretStr = Field(SecretStr(""), description="Its key; it answers without one.")
    relay_timeout: int = Field(10_000, ge=100, le=60_000, description="Its time to answer, ms.")
    oneinch_base_url: str = Field(
        "https://api.1inch.dev", description="1inch, which quotes bridges; off without a key."
    )
    oneinch_api_key: SecretStr = Field(SecretStr(""), description="Its key.")
    oneinch_timeout: int = Field(10_000, ge=100, le=60_000, description="Its time to answer, ms.")
    defillama_base_url: SecretStr = Field(
        SecretStr("https://api.llama.fi"),
        description="DefiLlama, for volume and TVL. A secret: a paid plan's key stands in it.",
    )
    defillama_coins_base_url: SecretStr = Field(
        SecretStr("https://coins.llama.fi"), description="DefiLlama's prices; a secret as above."
    )
    defillama_timeout: int = Field(
        10_000, ge=100, le=60_000, description="DefiLlama's time to answer, ms."
    )
    binance_base_url: str = Field(
        "https://data-api.binance.vision", description="Binance's public prices."
    )
    binance_api_key: SecretStr = Field(SecretStr(""), description="Its key; prices need none.")
    binance_timeout: int = Field(5_000, ge=100, le=60_000, description="Its time to answer, ms.")
    coingecko_base_url: str = Field(
        "https://api.coingecko.com/api/v3",
        description="CoinGecko; the address says whether the key is a demo or a pro one.",
    )
    coingecko_api_key: SecretStr = Field(SecretStr(""), description="Its key.")
    coingecko_timeout: int = Field(10_000, ge=100, le=60_000, description="Its time to answer, ms.")
    dexscreener_base_url: str = Field(
        "https://api.dexscreener.com", description="DexScreener; `/latest` at the end is ignored."
    )
    dexscreener_timeout: int = Field(
        5_000, ge=100, le=60_000, description="Its time to answer, ms."
    )
    bridge_corridors: CommaList = Field(
        ("USDC:ethereum>base", "USDC:base>arbitrum", "USDC:bsc>base"),
        description="Ways on which bridges are asked for quotes: asset:chain>chain.",
    )
    bridge_sizes: CommaList = Field(
        ("100", "1000", "10000"), description="Sizes of those quotes, in whole coins."
    )

    @field_validator("bridge_corridors", "bridge_sizes", mode="before")
    @classmethod
    def _split_lists(cls, value: object) -> object:
        return split_commas(value)

    @field_validator(*ADDRESSES)
    @classmethod
    def _plain_address(cls, value: str | SecretStr) -> str | SecretStr:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text and not ADDRESS.fullmatch(text):
            raise ValueError("must be an address like https://host/path, without ?, # or a login")
        return value

    @field_validator("bridge_corridors")
    @classmethod
    def _known_corridors(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        corridors.corridors(texts)
        return texts

    @field_validator("bridge_sizes")
    @classmethod
    def _sensible_sizes(cls, texts: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        corridors.quote_sizes(texts)
        if ways := info.data.get("bridge_corridors"):  # absent where they were refused
            corridors.probes(ways, texts)
        return texts
