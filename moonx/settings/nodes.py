"""The settings that say which nodes serve which chain."""

from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

CHAINS = ("ethereum", "base", "bsc", "polygon", "optimism", "arbitrum", "rei", "local")
RPC_URLS = tuple(f"rpc_url_{chain}" for chain in CHAINS)
MOST_URLS = 10


def urls_in(value: SecretStr) -> list[str]:
    """The URLs of a comma-separated list, in its order."""
    parts = (part.strip() for part in value.get_secret_value().split(","))
    return [part for part in parts if part]


def fault_in(url: str) -> str:
    """What is wrong with a node's URL, without quoting it; empty where nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no URL: check its host and port"
    if parts.scheme not in {"http", "https"}:
        return "must begin with http:// or https://"
    return "" if host else "names no host"


class Nodes(BaseSettings):
    """Where chains are read. A URL may hold a key: none of these is ever shown."""

    rpc_url_ethereum: SecretStr = Field(
        SecretStr(""),
        description="JSON-RPC URLs of Ethereum, comma separated, asked in this order. A chain "
        "without URL, and without a key of Alchemy, is off.",
    )
    rpc_url_base: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("rpc_url_base", "base_rpc_url"),
        description="Likewise Base.",
    )
    rpc_url_bsc: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("rpc_url_bsc", "bsc_rpc_url"),
        description="Likewise BNB Smart Chain.",
    )
    rpc_url_polygon: SecretStr = Field(SecretStr(""), description="Likewise Polygon.")
    rpc_url_optimism: SecretStr = Field(SecretStr(""), description="Likewise OP Mainnet.")
    rpc_url_arbitrum: SecretStr = Field(SecretStr(""), description="Likewise Arbitrum.")
    rpc_url_rei: SecretStr = Field(SecretStr(""), description="Likewise REI Network.")
    rpc_url_local: SecretStr = Field(
        SecretStr(""), description="Likewise the local node; unset, `up` starts one."
    )
    alchemy_api_key: SecretStr = Field(
        SecretStr(""), description="Key of Alchemy for every chain that it serves."
    )
    alchemy_api_key_ethereum: SecretStr = Field(
        SecretStr(""), description="Key of Alchemy for Ethereum, in place of ALCHEMY_API_KEY."
    )
    alchemy_api_key_base: SecretStr = Field(
        SecretStr(""), description="Key of Alchemy for Base, in place of ALCHEMY_API_KEY."
    )
    alchemy_api_key_bsc: SecretStr = Field(
        SecretStr(""),
        description="Key of Alchemy for BNB Smart Chain, in place of ALCHEMY_API_KEY.",
    )
    alchemy_api_key_polygon: SecretStr = Field(
        SecretStr(""), description="Key of Alchemy for Polygon, in place of ALCHEMY_API_KEY."
    )
    alchemy_api_key_optimism: SecretStr = Field(
        SecretStr(""), description="Key of Alchemy for OP Mainnet, in place of ALCHEMY_API_KEY."
    )
    alchemy_api_key_arbitrum: SecretStr = Field(
        SecretStr(""), description="Key of Alchemy for Arbitrum, in place of ALCHEMY_API_KEY."
    )
    alchemy_timeout: int = Field(
        10_000, ge=100, le=60_000, description="A call to Alchemy must be over within, ms."
    )
    alchemy_rate_limit_rpm: int = Field(
        300,
        ge=1,
        le=1_000_000,
        description="HTTP requests to Alchemy a minute, of all workers together; a batch of calls "
        "is one.",
    )
    alchemy_retries: int = Field(
        3,
        ge=0,
        le=10,
        description="How often a read that failed for a moment is tried again where Alchemy is "
        "asked first; a look at a chain, which others wait for, at most once.",
    )
    alchemy_retry_delay: int = Field(
        1_000, ge=10, le=60_000, description="The first wait before that, doubled each time, ms."
    )

    @field_validator(*RPC_URLS)
    @classmethod
    def _urls_of_nodes(cls, value: SecretStr) -> SecretStr:
        urls = urls_in(value)
        if len(urls) > MOST_URLS:
            raise ValueError(f"holds {len(urls)} URLs: keep at most {MOST_URLS}")
        for number, url in enumerate(urls, 1):
            if fault := fault_in(url):
                raise ValueError(f"URL {number} {fault}")
        return value

    def rpc_urls(self, chain: str) -> list[str]:
        """The chain's own URLs, in the order in which they are asked; none for an unknown chain."""
        listed = {
            "ethereum": self.rpc_url_ethereum,
            "base": self.rpc_url_base,
            "bsc": self.rpc_url_bsc,
            "polygon": self.rpc_url_polygon,
            "optimism": self.rpc_url_optimism,
            "arbitrum": self.rpc_url_arbitrum,
            "rei": self.rpc_url_rei,
            "local": self.rpc_url_local,
        }
        return urls_in(listed[chain]) if chain in listed else []

    def alchemy_key(self, chain: str) -> str:
        """The key of Alchemy for one of the chains that it serves, its own before the common one;
        empty where there is none."""
        own = {
            "ethereum": self.alchemy_api_key_ethereum,
            "base": self.alchemy_api_key_base,
            "bsc": self.alchemy_api_key_bsc,
            "polygon": self.alchemy_api_key_polygon,
            "optimism": self.alchemy_api_key_optimism,
            "arbitrum": self.alchemy_api_key_arbitrum,
        }
        if chain not in own:
            return ""
        return own[chain].get_secret_value() or self.alchemy_api_key.get_secret_value()
