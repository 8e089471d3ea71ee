"""Which chains are on, who serves them, and that nobody is told how."""

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client, override_settings
from django.urls import reverse

from moonx.core.chains import providers, registry
from moonx.core.chains.models import Chain
from moonx.core.chains.providers import public_name
from moonx.core.chains.reader import Reader
from moonx.core.chains.registry import UnknownChain
from moonx.core.resilience import limits
from moonx.core.resilience.budget import declared
from moonx.settings import env
from moonx.settings.nodes import fault_in

pytestmark = pytest.mark.django_db

KEY = "abcdef0123456789abcdef0123456789"


def with_settings(**values: str) -> override_settings:
    none = {
        name: "" for name in env.Env.model_fields if name.startswith(("rpc_url", "alchemy_api"))
    }
    return override_settings(ENV=env.load(**(none | values)))


def test_eight_chains_are_known_and_none_is_on_by_itself() -> None:
    slugs = {chain.slug for chain in registry.all()}
    assert slugs == {"ethereum", "base", "bsc", "polygon", "optimism", "arbitrum", "rei", "local"}
    for chain in registry.all():
        chain.full_clean()
    with with_settings():
        assert registry.enabled() == []


@pytest.mark.parametrize("asked", ["base", "8453", " BASE "])
def test_a_chain_is_found_by_slug_and_by_id(asked: str) -> None:
    assert registry.find(asked).name == "Base"


@pytest.mark.parametrize("asked", ["", "solana", "0", "845", "base'; --", "x" * 10_000])
def test_an_unknown_chain_is_refused_with_those_that_there_are(asked: str) -> None:
    with pytest.raises(UnknownChain, match=r"There are: .*base") as caught:
        registry.find(asked)
    assert len(str(caught.value)) < 200


def test_a_chain_is_on_where_somebody_serves_it_and_operators_want_it() -> None:
    with with_settings(rpc_url_base="https://a.example/x, https://b.example/y", rpc_url_rei=""):
        assert [chain.slug for chain in registry.enabled()] == ["base"]
        assert Reader.of(registry.find("base")).provider_names == ("a.example", "b.example")
        Chain.objects.filter(slug="base").update(is_enabled=False)
        assert registry.enabled() == []


def test_one_key_of_alchemy_serves_six_chains_and_a_chains_own_key_goes_first() -> None:
    with with_settings(alchemy_api_key=KEY, alchemy_api_key_base="other/key"):
        on = {chain.slug for chain in registry.enabled()}
        assert on == {"ethereum", "base", "bsc", "polygon", "optimism", "arbitrum"}
        (base,) = providers.of_chain("base")
        assert base.name == "alchemy"
        assert base.timeout_s == 10
        assert base.url.get_secret_value() == "https://base-mainnet.g.alchemy.com/v2/other%2Fkey"
        (bsc,) = providers.of_chain("bsc")
        assert bsc.url.get_secret_value() == f"https://bnb-mainnet.g.alchemy.com/v2/{KEY}"
    own = f"https://base-mainnet.g.alchemy.com/v2/{KEY}"
    with with_settings(alchemy_api_key=KEY, rpc_url_base=own):
        assert len(providers.of_chain("base")) == 1


def test_alchemy_has_the_budget_and_the_retries_of_the_settings() -> None:
    with with_settings(
        alchemy_api_key=KEY,
        rpc_url_base="https://a.example",
        alchemy_rate_limit_rpm="77",
        alchemy_retries="5",
        alchemy_retry_delay="250",
    ):
        other, alchemy = providers.of_chain("base")
    assert limits.of(alchemy.name).budget == declared(per_minute=77)
    assert limits.of(other.name).budget is None
    assert (alchemy.again.first_s, alchemy.again.tries) == (0.25, 6)
    limits.declare(alchemy.name)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://rpc.rei.network", "rpc.rei.network"),
        ("http://127.0.0.1:8545/", "127.0.0.1:8545"),
        (f"https://user:{KEY}@node.example/{KEY}?key={KEY}", "node.example"),
        (f"https://{KEY}.eth.rpc.example", "….eth.rpc.example"),
        ("https://BASE-mainnet.G.alchemy.com/v2/x", "alchemy"),
        ("https://g.alchemy.com.evil.example/", "g.alchemy.com.evil.example"),
        ("http://[::1]:8545", "::1:8545"),
    ],
)
def test_a_provider_is_called_by_its_host_without_what_may_be_a_key(url: str, name: str) -> None:
    assert public_name(url) == name
    (provider,) = providers.named("base", [(url, 1.0)])
    assert KEY not in repr(provider)
    assert KEY not in provider.censored(f"there is nothing at {url}")


def test_two_providers_of_one_name_are_told_apart() -> None:
    urls = [
        ("https://a.example/1", 1.0),
        ("https://a.example/2", 1.0),
        ("https://a.example/1", 1.0),
    ]
    assert [each.name for each in providers.named("base", urls)] == ["a.example", "a.example#2"]


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://a.example/x", ""),
        ("http://10.0.0.1:8545", ""),
        ("ftp://a.example", "must begin with http"),
        ("a.example", "must begin with http"),
        ("https://", "names no host"),
        ("https://a.example:port", "check its host and port"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_being_quoted(url: str, fault: str) -> None:
    assert fault in fault_in(url)
    assert bool(fault) is bool(fault_in(url))
    assert url not in fault_in(url)


def test_a_fault_in_a_list_of_urls_names_which_and_tells_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RPC_URL_BASE", f"https://a.example/{KEY},wss://b.example/{KEY}")
    with pytest.raises(env.BadSettings, match="RPC_URL_BASE: URL 2 must begin with http") as caught:
        env.load()
    assert KEY not in str(caught.value)


def test_the_former_names_still_serve_their_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RPC_URL_BSC", raising=False)
    monkeypatch.setenv("BSC_RPC_URL", "https://bsc.example")
    with override_settings(ENV=env.load()):
        assert [each.name for each in providers.of_chain("bsc")] == ["bsc.example"]


def test_a_chain_that_makes_no_sense_is_refused() -> None:
    chain = registry.find("base")
    chain.block_time_ms, chain.multicall_address = 0, "0x12"
    with pytest.raises(ValidationError) as caught:
        chain.full_clean()
    assert set(caught.value.message_dict) >= {"block_time_ms", "multicall_address"}


def test_the_admin_shows_who_serves_a_chain_edits_its_facts_and_tells_no_url(
    client: Client,
) -> None:
    client.force_login(User.objects.create_superuser("ops"))
    page = reverse("admin:core_chain_change", args=["base"])
    with with_settings(rpc_url_base=f"https://node.example/{KEY}"):
        listed = client.get(reverse("admin:core_chain_changelist")).content.decode()
        shown = client.get(page).content.decode()
    assert "node.example" in listed
    assert "node.example" in shown
    assert KEY not in listed + shown
    form = {
        field: value
        for field, value in Chain.objects.filter(slug="base").values()[0].items()
        if value is not False
    }
    client.post(page, {**form, "block_time_ms": 1_000, "chain_id": 5})
    stored = registry.find("base")
    assert (stored.block_time_ms, stored.chain_id) == (1_000, 8453)
    assert client.get(reverse("admin:core_chain_add")).status_code == 403
