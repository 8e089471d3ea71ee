"""Who may use an account: a signature over the bytes as sent, or a token; never a cookie."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client

from apps.exchange.api import params, signing
from apps.exchange.models import ApiKey
from apps.exchange.tests import trading
from apps.exchange.tests.signing import Signer, bearer, fault, now_ms, signature
from moonx.core import clock, identity
from moonx.core.identity import Identity

pytestmark = pytest.mark.usefixtures("db", "clean_valkey")

DOCUMENTED_KEY = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
DOCUMENTED = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
    "&timestamp=1499827319559"
)


@pytest.fixture
def signer() -> Signer:
    trading.market()
    return Signer(trading.trader(USDC="100"))


def received(query: str, body: str = "") -> params.Received:
    return params.Received(query=query.encode(), body=body.encode(), values={})


def test_what_is_signed_is_what_binance_documents() -> None:
    documented = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    payload, value = signing.signature_of(received(f"{DOCUMENTED}&signature={documented}"))
    assert signature(payload, DOCUMENTED_KEY) == documented == value.decode()


@pytest.mark.parametrize(
    ("query", "body", "payload"),
    [
        ("a=1&b=2&signature=s", "", "a=1&b=2"),
        ("signature=s&a=1&b=2", "", "a=1&b=2"),
        ("a=1&signature=s&b=2", "", "a=1&b=2"),
        ("a=1", "b=2&signature=s", "a=1b=2"),
        ("a=1&signature=s", "b=2", "a=1b=2"),
        ("", "b=%20x&signature=s", "b=%20x"),
    ],
)
def test_the_signature_may_stand_anywhere_and_is_not_signed_itself(
    query: str, body: str, payload: str
) -> None:
    assert signing.signature_of(received(query, body)) == (payload.encode(), b"s")


def test_a_signed_request_is_its_owners(signer: Signer) -> None:
    balances = {row["asset"]: row["free"] for row in signer.ask("GET", "/account")["balances"]}
    assert balances == {"ETH": "0.00000000", "USDC": "100.00000000"}


def test_parameters_may_stand_in_query_and_body_and_the_query_wins(signer: Signer) -> None:
    query = "symbol=ETHUSDC&side=BUY&type=LIMIT"
    body = urlencode(
        {"side": "SELL", "timeInForce": "GTC", "quantity": "1", "price": "5", "timestamp": now_ms()}
    )
    signed = f"{body}&signature={signature(query + body, signer.secret)}"
    answer = signer.raw("POST", "/order", query=query, body=signed)
    assert answer.status_code == 200, answer.content
    assert answer.json()["side"] == "BUY"


def test_a_signature_in_capitals_is_the_same(signer: Signer) -> None:
    query = urlencode({"timestamp": now_ms()})
    given = signature(query, signer.secret).upper()
    assert signer.raw("GET", "/account", query=f"{query}&signature={given}").status_code == 200


def test_an_altered_request_is_refused(signer: Signer) -> None:
    query = signer.sign({"omitZeroBalances": "true"})
    for altered in (
        query.replace("true", "false"),
        query[:-1] + ("0" if query[-1] != "0" else "1"),
    ):
        assert fault(signer.raw("GET", "/account", query=altered)) == (
            -1022,
            "Signature for this request is not valid.",
        )
    assert fault(signer.raw("GET", "/account", query=query, body="symbol=X"))[0] in {-1022, -1101}


@pytest.mark.parametrize(
    ("offset_ms", "window", "code"),
    [
        (-1_000, None, 200),
        (-6_000, None, -1021),
        (-30_000, "60000", 200),
        (-61_000, "60000", -1021),
        (500, None, 200),
        (5_000, None, -1021),
        (5_000, "60000", -1021),
        (0, "60001", -1131),
        (-2_000, "1000.5", -1021),
        (10**17, None, -1021),
    ],
)
def test_a_request_is_valid_for_a_while_by_the_databases_clock(
    signer: Signer, offset_ms: int, window: str | None, code: int
) -> None:
    more = {} if window is None else {"recvWindow": window}
    answer = signer.send("GET", "/account", timestamp=now_ms() + offset_ms, **more)
    assert (200 if answer.status_code == 200 else answer.json()["code"]) == code


def test_a_timestamp_may_be_in_microseconds(signer: Signer) -> None:
    assert signer.send("GET", "/account", timestamp=now_ms() * 1000 + 7).status_code == 200


def test_what_is_missing_is_named(signer: Signer) -> None:
    assert fault(signer.raw("GET", "/account", query="signature=x"))[0] == -1102
    words = fault(signer.raw("GET", "/account", query=f"timestamp={now_ms()}"))[1]
    assert "'signature'" in words
    twice = signer.sign({}) + "&signature=0"
    assert fault(signer.raw("GET", "/account", query=twice))[0] == -1101


@pytest.mark.parametrize("key", ["", "short", "é" * 64, "x" * 63, "-" * 64, "x" * 65])
def test_what_is_no_key_is_told_so(signer: Signer, key: str) -> None:
    headers = {"X-MBX-APIKEY": key}
    answer = Client().get(f"/api/v3/account?{signer.sign({})}", headers=headers)
    assert fault(answer, 401)[0] == -2014


def test_an_unknown_revoked_or_closed_key_is_refused_alike(signer: Signer) -> None:
    rejected = (-2015, "Invalid API-key, IP, or permissions for action.")
    other = Client().get(f"/api/v3/account?{signer.sign({})}", headers={"X-MBX-APIKEY": "x" * 64})
    assert fault(other, 401) == rejected
    User.objects.update(is_active=False)
    assert signer.rejected("GET", "/account") == rejected
    User.objects.update(is_active=True)
    ApiKey.objects.update(revoked_at=clock.db_now())
    assert signer.rejected("GET", "/account") == rejected


@pytest.mark.parametrize(
    ("networks", "address", "is_let_in"),
    [
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "11.1.2.3", False),
        (["2001:db8::/32"], "2001:db8::5", True),
        (["2001:db8::/32"], "10.1.2.3", False),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["10.0.0.0/8"], "nonsense", False),
        ([], "nonsense", True),
    ],
)
def test_a_key_with_networks_works_from_there_alone(
    networks: list[str], address: str, is_let_in: bool
) -> None:
    signer = Signer(trading.trader(), addresses=networks, address=address)
    assert (signer.send("GET", "/account").status_code == 200) == is_let_in


def test_a_key_that_may_only_look_trades_nothing() -> None:
    trading.market()
    signer = Signer(trading.trader(USDC="100"), may_trade=False)
    assert signer.send("GET", "/openOrders", symbol="ETHUSDC").status_code == 200
    for method, path in (("POST", "/order"), ("POST", "/order/test")):
        order = {"symbol": "ETHUSDC", "side": "BUY", "type": "MARKET", "quantity": "1"}
        assert signer.rejected(method, path, **order)[0] == -2015
    assert signer.rejected("DELETE", "/openOrders", symbol="ETHUSDC")[0] == -2015


def test_a_token_needs_neither_signature_nor_timestamp() -> None:
    user_id = trading.trader()
    answer = Client().get("/api/v3/account", headers=bearer(user_id))
    assert answer.json()["uid"] == user_id
    User.objects.update(is_active=False)
    refused = Client().get("/api/v3/account", headers=bearer(user_id))
    assert fault(refused, 401)[0] == -2015
    assert refused["WWW-Authenticate"] == "Bearer"
    broken = Client().get("/api/v3/account", headers={"Authorization": "Bearer nonsense"})
    assert fault(broken, 401)[0] == -2015


def test_a_cookie_is_nobody() -> None:
    client = Client()
    client.force_login(User.objects.create(username="somebody"))
    assert fault(client.get("/api/v3/account"), 401)[0] == -2014


def test_who_comes_from_another_service_gets_a_user_on_first_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def identify(token: str, *, audience: str) -> Identity:
        return Identity(user_id=token, email="a@example.org", local=False)

    monkeypatch.setattr(identity, "_registered", [identify])

    def ask(token: str) -> Any:
        return Client().get("/api/v3/account", headers={"Authorization": f"Bearer {token}"})

    first, second = ask("42").json()["uid"], ask("42").json()["uid"]
    assert first == second != ask("43").json()["uid"]
    assert ask("4" * 400).status_code == 200
    user = User.objects.get(pk=first)
    assert (user.username, user.has_usable_password()) == ("external:42", False)
    user.is_active = False
    user.save()
    assert fault(ask("42"), 401)[0] == -2015


def test_an_auth_service_that_does_not_answer_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(identity, "_registered", [])
    answer = Client().get("/api/v3/account", headers={"Authorization": "Bearer x"})
    assert fault(answer, 503)[0] == -1001


def test_a_body_larger_than_any_request_needs_is_refused(signer: Signer) -> None:
    body = "a" * (params.LARGEST_BODY + 1)
    assert fault(signer.raw("POST", "/order", body=body), 413)[0] == -1101


def test_use_of_a_key_is_noted_once_a_minute(signer: Signer) -> None:
    signer.ask("GET", "/account")
    first = ApiKey.objects.get().last_used_at
    signer.ask("GET", "/account")
    assert ApiKey.objects.get().last_used_at == first
    assert first is not None
    ApiKey.objects.update(last_used_at=first - timedelta(minutes=2))
    signer.ask("GET", "/account")
    assert ApiKey.objects.get().last_used_at > first  # type: ignore[operator]
