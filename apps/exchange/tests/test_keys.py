"""API keys: shown once, sealed at rest, revoked at once, and nobody else's."""

import logging
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from apps.exchange import keys
from apps.exchange.models import ApiKey
from apps.exchange.tests import trading
from apps.exchange.tests.signing import Signer, bearer
from moonx.core.models import OutboxEvent

pytestmark = pytest.mark.usefixtures("db", "clean_valkey")

PATH = "/api/v1/api-keys"
OLD_KEY, NEW_KEY = "o" * 50, "n" * 50


def post(user_id: int, **body: Any) -> Any:
    return Client().post(PATH, body, content_type="application/json", headers=bearer(user_id))


def listed(user_id: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = Client().get(PATH, headers=bearer(user_id)).json()
    return rows


def test_a_key_is_shown_with_its_secret_once() -> None:
    user_id = trading.trader()
    answer = post(user_id, label="bot", ipList=["10.0.0.7", "2001:db8::1/64"])
    made = answer.json()
    assert list(made) == [
        *("apiKey", "label", "canTrade", "ipList", "createdAt", "lastUsedAt", "secretKey")
    ]
    assert (len(made["apiKey"]), len(made["secretKey"])) == (64, 64)
    assert made["ipList"] == ["10.0.0.7/32", "2001:db8::/64"]
    assert answer["Cache-Control"] == "no-store"
    shown = {name: value for name, value in made.items() if name != "secretKey"}
    assert listed(user_id) == [shown]


def test_a_secret_is_neither_stored_nor_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = post(trading.trader(), label="bot").json()
    row = ApiKey.objects.get()
    assert made["secretKey"].encode() not in bytes(row.sealed_secret)
    assert keys.unseal(bytes(row.sealed_secret)).decode() == made["secretKey"]
    told = "".join(str(event.payload) for event in OutboxEvent.objects.all())
    for words in (caplog.text, str(row), repr(row), told):
        assert made["secretKey"] not in words
        assert made["apiKey"] not in words


def test_making_and_revoking_keys_is_told_as_activity() -> None:
    user_id = trading.trader()
    made = post(user_id, label="bot").json()
    Client().delete(f"{PATH}/{made['apiKey']}", headers=bearer(user_id))
    told = OutboxEvent.objects.filter(name="user.activity").order_by("id")
    assert [event.payload for event in told] == [
        {"userId": user_id, "action": "key_created"},
        {"userId": user_id, "action": "key_revoked"},
    ]


def test_a_revoked_key_is_refused_from_the_next_request_on() -> None:
    user_id = trading.trader()
    signer = Signer(user_id)
    assert signer.send("GET", "/account").status_code == 200
    path = f"{PATH}/{signer.key}"
    assert Client().delete(path, headers=bearer(user_id)).json() == {
        "apiKey": signer.key,
        "revoked": True,
    }
    assert signer.rejected("GET", "/account")[0] == -2015
    assert Client().delete(path, headers=bearer(user_id)).status_code == 404
    assert listed(user_id) == []


def test_nobody_sees_or_revokes_anothers_key() -> None:
    signer, other = Signer(trading.trader()), trading.trader()
    assert listed(other) == []
    answer = Client().delete(f"{PATH}/{signer.key}", headers=bearer(other))
    assert answer.status_code == 404
    assert signer.send("GET", "/account").status_code == 200


def test_an_api_key_makes_no_api_keys() -> None:
    signer = Signer(trading.trader())
    for method in ("GET", "POST"):
        answer = Client().generic(method, f"{PATH}?{signer.sign({})}", headers=signer.headers)
        assert answer.status_code in {400, 401}
    assert ApiKey.objects.count() == 1
    assert Client().get(PATH).json()["code"] == "invalidToken"
    both = {**signer.headers, **bearer(trading.trader())}
    assert Client().get(PATH, headers=both).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"label": ""},
        {"label": "  "},
        {"label": "x" * 101},
        {"label": "a\x00b"},
        {"label": "a\nb"},
        {"label": "a", "ipList": ["nowhere"]},
        {"label": "a", "ipList": ["10.0.0.0/99"]},
        {"label": "a", "ipList": ["10.0.0.1"] * 51},
        {"label": "a", "canTrade": "maybe"},
        {"label": "a", "canTrade": 1},
    ],
)
def test_what_is_no_key_makes_none(body: dict[str, Any]) -> None:
    answer = post(trading.trader(), **body)
    assert (answer.status_code, answer.json()["code"]) == (400, "badRequest")
    assert not ApiKey.objects.exists()


def test_nobody_has_more_keys_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MOST_KEYS", 2)
    user_id = trading.trader()
    answers = [post(user_id, label="bot").status_code for _ in range(3)]
    assert answers == [200, 200, 400]


def test_a_secret_outlives_a_change_of_the_secret_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SECRET_KEY", OLD_KEY)
    signer = Signer(trading.trader())
    monkeypatch.setattr(settings, "SECRET_KEY", NEW_KEY)
    monkeypatch.setattr(settings, "SECRET_KEY_FALLBACKS", [OLD_KEY])
    assert signer.send("GET", "/account").status_code == 200
    monkeypatch.setattr(settings, "SECRET_KEY_FALLBACKS", [])
    assert signer.rejected("GET", "/account")[0] == -2015
    with pytest.raises(keys.SealBroken):
        keys.unseal(bytes(ApiKey.objects.get().sealed_secret))


def test_other_methods_are_refused() -> None:
    assert Client().put(PATH).status_code == 405
    assert Client().get(f"{PATH}/x").status_code == 405
    odd = Client().delete(f"{PATH}/%00", headers=bearer(trading.trader()))
    assert odd.status_code == 404
