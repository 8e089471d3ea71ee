"""Where each outside service is asked, under which key, and whether that is the simulator."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from pydantic import SecretStr

from moonx.core.upstream.names import Service, Standing

ALCHEMY_DATA = "https://api.g.alchemy.com"
LATEST = "/latest"  # what users of the former services have at the end of DexScreener's address


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


def find(service: Service) -> Endpoint | None:
    """How the service is asked; None where it is off.

    It is real where its own address or key is set, or where no simulator runs; off where it wants
    a key, none is set and no simulator runs.
    """
    env = settings.ENV
    given = _GIVEN[service](env)
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
    return [service for service in Service if not _GIVEN[service](env).is_set]


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


def _lifi(env: Any) -> Given:
    return Given(
        base_url=env.lifi_base_url,
        is_named="lifi_base_url" in env.model_fields_set,
        key=env.lifi_api_key,
        key_header="x-lifi-api-key",
        timeout_ms=env.lifi_timeout,
    )


def _relay(env: Any) -> Given:
    return Given(
        base_url=env.relay_base_url,
        is_named="relay_base_url" in env.model_fields_set,
        key=env.relay_api_key,
        key_header="x-api-key",
        timeout_ms=env.relay_timeout,
    )


def _oneinch(env: Any) -> Given:
    return Given(
        base_url=env.oneinch_base_url,
        is_named="oneinch_base_url" in env.model_fields_set,
        key=env.oneinch_api_key,
        key_header="Authorization",
        needs_key=True,
        timeout_ms=env.oneinch_timeout,
    )


def _defillama(env: Any) -> Given:
    return Given(
        base_url=env.defillama_base_url,
        is_named="defillama_base_url" in env.model_fields_set,
        timeout_ms=env.defillama_timeout,
    )


def _defillama_coins(env: Any) -> Given:
    return Given(
        base_url=env.defillama_coins_base_url,
        is_named="defillama_coins_base_url" in env.model_fields_set,
        timeout_ms=env.defillama_timeout,
    )


def _alchemy(env: Any) -> Given:
    # Its nodes are the chains' matter; this is what knows wallets and prices.
    return Given(
        base_url=ALCHEMY_DATA,
        key=env.alchemy_api_key,
        key_header="Authorization",
        needs_key=True,
        timeout_ms=env.alchemy_timeout,
    )


def _binance(env: Any) -> Given:
    return Given(
        base_url=env.binance_base_url,
        is_named="binance_base_url" in env.model_fields_set,
        key=env.binance_api_key,
        key_header="X-MBX-APIKEY",
        timeout_ms=env.binance_timeout,
    )


def _coingecko(env: Any) -> Given:
    is_pro = "://pro-" in env.coingecko_base_url
    return Given(
        base_url=env.coingecko_base_url,
        is_named="coingecko_base_url" in env.model_fields_set,
        key=env.coingecko_api_key,
        key_header="x-cg-pro-api-key" if is_pro else "x-cg-demo-api-key",
        timeout_ms=env.coingecko_timeout,
    )


def _dexscreener(env: Any) -> Given:
    return Given(
        base_url=env.dexscreener_base_url.rstrip("/").removesuffix(LATEST),
        is_named="dexscreener_base_url" in env.model_fields_set,
        timeout_ms=env.dexscreener_timeout,
    )


_GIVEN: dict[Service, Callable[[Any], Given]] = {
    Service.LIFI: _lifi,
    Service.RELAY: _relay,
    Service.ONEINCH: _oneinch,
    Service.DEFILLAMA: _defillama,
    Service.DEFILLAMA_COINS: _defillama_coins,
    Service.ALCHEMY: _alchemy,
    Service.BINANCE: _binance,
    Service.COINGECKO: _coingecko,
    Service.DEXSCREENER: _dexscreener,
}
