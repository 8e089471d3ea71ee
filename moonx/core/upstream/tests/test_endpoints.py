"""Where outside services are asked: for real, at the simulator, or not at all."""

from typing import Any

import pytest
from pydantic import SecretStr

from moonx.core.upstream import endpoints
from moonx.core.upstream.names import Service, Standing
from moonx.settings import env
from moonx.settings.outside import Outside

SIMULATOR = "http://127.0.0.1:8100/"


def given(settings: Any, monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """Settings with those variables, and none of the other services'."""
    for name in (*Outside.model_fields, "alchemy_api_key"):
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings.ENV = env.load()


def standings() -> dict[str, str]:
    return {service.value: endpoints.standing(service).value for service in Service}


def test_without_simulator_all_are_real_but_those_that_want_a_key(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(settings, monkeypatch)
    found = standings()
    off = {name for name, standing in found.items() if standing == Standing.OFF}
    assert off == {"1inch", "alchemy"}
    assert set(found.values()) == {"real", "off"}


def test_the_simulator_answers_for_all_that_are_not_set(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(settings, monkeypatch, SIMULATOR_URL=SIMULATOR)
    assert set(standings().values()) == {"simulated"}
    endpoint = endpoints.find(Service.LIFI)
    assert endpoint is not None
    assert endpoint.url("/quote") == "http://127.0.0.1:8100/lifi/v1/quote"


@pytest.mark.parametrize(
    ("variables", "service", "told"),
    [
        ({"LIFI_API_KEY": "k"}, Service.LIFI, ("https://li.quest/v1", ("x-lifi-api-key", "k"))),
        ({"LIFI_BASE_URL": "https://own/v1/"}, Service.LIFI, ("https://own/v1", None)),
        ({"RELAY_API_KEY": "k"}, Service.RELAY, ("https://api.relay.link", ("x-api-key", "k"))),
        (
            {"ONEINCH_API_KEY": "k"},
            Service.ONEINCH,
            ("https://api.1inch.dev", ("Authorization", "Bearer k")),
        ),
        (
            {"ALCHEMY_API_KEY": "k"},
            Service.ALCHEMY,
            ("https://api.g.alchemy.com", ("Authorization", "Bearer k")),
        ),
        ({"DEFILLAMA_BASE_URL": "https://own"}, Service.DEFILLAMA, ("https://own", None)),
        (
            {"COINGECKO_API_KEY": "k"},
            Service.COINGECKO,
            ("https://api.coingecko.com/api/v3", ("x-cg-demo-api-key", "k")),
        ),
        (
            {
                "COINGECKO_API_KEY": "k",
                "COINGECKO_BASE_URL": "https://pro-api.coingecko.com/api/v3",
            },
            Service.COINGECKO,
            ("https://pro-api.coingecko.com/api/v3", ("x-cg-pro-api-key", "k")),
        ),
        (
            {"DEXSCREENER_BASE_URL": "https://api.dexscreener.com/latest"},
            Service.DEXSCREENER,
            ("https://api.dexscreener.com", None),
        ),
    ],
)
def test_an_address_or_a_key_of_its_own_makes_a_service_real(
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    service: Service,
    told: tuple[str, tuple[str, str] | None],
) -> None:
    url, header = told
    given(settings, monkeypatch, SIMULATOR_URL=SIMULATOR, **variables)
    endpoint = endpoints.find(service)
    assert endpoint is not None
    assert (endpoint.base_url, endpoint.is_simulated) == (url, False)
    assert endpoint.headers == (dict([header]) if header else {})
    others = {name for name, found in standings().items() if found == Standing.SIMULATED}
    assert others == {one.value for one in Service} - {service.value}


def test_what_wants_a_key_is_not_real_by_its_address_alone(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(settings, monkeypatch, ONEINCH_BASE_URL="https://own")
    assert endpoints.standing(Service.ONEINCH) is Standing.OFF
    given(settings, monkeypatch, ONEINCH_BASE_URL="https://own", SIMULATOR_URL=SIMULATOR)
    assert endpoints.standing(Service.ONEINCH) is Standing.SIMULATED


def test_no_endpoint_shows_its_key(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given(settings, monkeypatch, LIFI_API_KEY="hidden", DEFILLAMA_BASE_URL="https://pro/hidden/api")
    for service in (Service.LIFI, Service.DEFILLAMA):
        assert "hidden" not in repr(endpoints.find(service))
    assert "hidden" not in repr(settings.ENV)
    assert isinstance(settings.ENV.defillama_base_url, SecretStr)


@pytest.mark.parametrize(
    "address", ["li.quest", "ftp://li.quest", "https://me:word@li.quest", "https://li.quest/?x=1"]
)
def test_an_address_that_cannot_be_one_is_refused(
    settings: Any, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    with pytest.raises(env.BadSettings) as refused:
        given(settings, monkeypatch, LIFI_BASE_URL=address, BRIDGE_CORRIDORS="x", BRIDGE_SIZES="0")
    message = str(refused.value)
    assert "word" not in message
    for name in ("LIFI_BASE_URL", "BRIDGE_CORRIDORS", "BRIDGE_SIZES"):
        assert message.count(f"  {name}: ") == 1
