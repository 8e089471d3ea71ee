"""Where each outside service is asked, under which key, and whether that is the simulator."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from pydantic import SecretStr

from moonx.core.upstream.names import Service, Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One service as it is asked. Address and headers may hold keys: neither is ever shown."""

    service: Service
    base_url: str = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float
    is_simulated: bool
    has_key: bool

    def url(self, path: str) -> str:
        """The address of `path`, which begins with a slash."""
        return self.base_url + path


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the settings say of a service."""

    base_url: str | SecretStr
    timeout_ms: int
    key: SecretStr | None = None
    key_header: str = ""
    is_named: bool = False
    needs_key: bool = False

    @property
    def secret(self) -> str:
        return self.key.get_secret_value() if self.key else ""

    @property
    def is_set(self) -> bool:
        """Whether somebody wants the real service."""
        return bool(self.secret) or (self.is_named and not self.needs_key)


def shown(url: str) -> str:
    """An address as it may be shown: without login, query and fragment, which may be secret."""
    parts = urlsplit(url)
    _, _, place = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, place, parts.path, "", ""))


def find(service: Service) -> Endpoint | None:
    """How the service is asked; None where it is off.

    It is real where its own address or key is set, or where no simulator runs; off where it wants
    a key, none is set and no simulator runs.
    """
    env = settings.ENV
    given = SOURCES[service].given(env)
    if given.is_set:
        return _real(service, given)
    if env.simulator_url:
        return _simulated(service, given, env.simulator_url)
    return None if given.needs_key else _real(service, given)


def standing(service: Service) -> Standing:
    """What answers for the service."""
    endpoint = find(service)
    if endpoint is None:
        return Standing.OFF
    return Standing.SIMULATED if endpoint.is_simulated else Standing.REAL


def unset(env: Any) -> list[Service]:
    """The services for which `env` names neither an address nor a key: a simulator's to answer."""
    return [service for service in Service if not SOURCES[service].given(env).is_set]


def _real(service: Service, given: Given) -> Endpoint:
    url = given.base_url
    return Endpoint(
        service=service,
        base_url=(url if isinstance(url, str) else url.get_secret_value()).rstrip("/"),
        headers={given.key_header: _spelled(given)} if given.secret else {},
        timeout_s=given.timeout_ms / 1000,
        is_simulated=False,
        has_key=bool(given.secret),
    )


def _spelled(given: Given) -> str:
    return f"Bearer {given.secret}" if given.key_header == "Authorization" else given.secret


def _simulated(service: Service, given: Given, url: str) -> Endpoint:
    return Endpoint(
        service=service,
        base_url=url.rstrip("/") + PATHS[service],
        timeout_s=given.timeout_ms / 1000,
        is_simulated=True,
        has_key=False,
    )


# Where the simulator answers for each, in the place of the real service's address.
PATHS = {
    Service.LIFI: "/lifi/v1",
    Service.RELAY: "/relay",
    Service.ONEINCH: "/1inch",
    Service.DEFILLAMA: "/defillama",
    Service.DEFILLAMA_COINS: "/defillama-coins",
    Service.ALCHEMY: "/alchemy",
    Service.BINANCE: "/binance",
    Service.COINGECKO: "/coingecko/api/v3",
    Service.DEXSCREENER: "/dexscreener",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """By which settings a service is asked. Without `address` it is asked at `fixed`."""

    address: str = ""
    fixed: str = ""
    timeout: str
    key: str = ""
    key_header: str = ""
    pro_key_header: str = ""  # where the address is that of its paid edition
    needs_key: bool = False
    ending: str = ""  # what users of the former services have at the end of the address

    def given(self, env: Any) -> Given:
        """What `env` says of the service."""
        url = getattr(env, self.address) if self.address else self.fixed
        if self.ending:
            url = url.rstrip("/").removesuffix(self.ending)
        is_pro = bool(self.pro_key_header) and "://pro-" in url
        return Given(
            base_url=url,
            is_named=self.address in env.model_fields_set,
            key=getattr(env, self.key) if self.key else None,
            key_header=self.pro_key_header if is_pro else self.key_header,
            needs_key=self.needs_key,
            timeout_ms=getattr(env, self.timeout),
        )


SOURCES = {
    Service.LIFI: Source(
        address="lifi_base_url",
        timeout="lifi_timeout",
        key="lifi_api_key",
        key_header="x-lifi-api-key",
    ),
    Service.RELAY: Source(
        address="relay_base_url",
        timeout="relay_timeout",
        key="relay_api_key",
        key_header="x-api-key",
    ),
    Service.ONEINCH: Source(
        address="oneinch_base_url",
        timeout="oneinch_timeout",
        key="oneinch_api_key",
        key_header="Authorization",
        needs_key=True,
    ),
    Service.DEFILLAMA: Source(address="defillama_base_url", timeout="defillama_timeout"),
    Service.DEFILLAMA_COINS: Source(
        address="defillama_coins_base_url", timeout="defillama_timeout"
    ),
    # Its nodes are the chains' matter; this is what knows wallets and prices.
    Service.ALCHEMY: Source(
        fixed="https://api.g.alchemy.com",
        timeout="alchemy_timeout",
        key="alchemy_api_key",
        key_header="Authorization",
        needs_key=True,
    ),
    Service.BINANCE: Source(
        address="binance_base_url",
        timeout="binance_timeout",
        key="binance_api_key",
        key_header="X-MBX-APIKEY",
    ),
    Service.COINGECKO: Source(
        address="coingecko_base_url",
        timeout="coingecko_timeout",
        key="coingecko_api_key",
        key_header="x-cg-demo-api-key",
        pro_key_header="x-cg-pro-api-key",
    ),
    Service.DEXSCREENER: Source(
        address="dexscreener_base_url", timeout="dexscreener_timeout", ending="/latest"
    ),
}
