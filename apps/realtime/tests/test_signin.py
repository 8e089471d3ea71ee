import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from apps.realtime import auth, signin
from apps.realtime.api import COOKIE, PATH
from apps.realtime.models import RefreshToken, SignIn
from apps.realtime.tests.support import AuthService
from moonx.core import clock, tokens
from moonx.core.models import OutboxEvent

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")
GOOD = {"username": "alice", "password": "correct horse"}


@pytest.fixture
def client(alice: User) -> Client:
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def service(configure: Any) -> Iterator[AuthService]:
    with AuthService() as running:
        configure(auth_service_url=running.url, auth_service_verify_endpoint="/check")
        yield running
    auth._external._known.clear()


def post(client: Client, path: str, body: Any = None, **options: Any) -> Any:
    return client.post(PATH + path, body, content_type="application/json", **options)


def sign_in(client: Client, **more: Any) -> dict[str, Any]:
    answer = post(client, "/token", {**GOOD, **more})
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_a_password_gets_an_access_and_a_refresh_token(client: Client, alice: User) -> None:
    pair = sign_in(client)
    assert set(pair) == {"access", "refresh", "expiresIn"}
    assert pair["expiresIn"] == 600
    claims = tokens.issuer().verify(pair["access"], audience=tokens.SOCKET)
    assert claims.subject == str(alice.pk)
    assert claims.expires_at - claims.issued_at == 600
    assert not RefreshToken.objects.filter(digest=pair["refresh"].encode()).exists()


def test_a_wrong_password_and_an_unknown_name_are_told_nothing_apart(client: Client) -> None:
    wrong = post(client, "/token", {**GOOD, "password": "no"})
    unknown = post(client, "/token", {"username": "mallory", "password": "no"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["code"] == "wrongCredentials"


def test_a_name_is_locked_after_ten_wrong_passwords_even_for_the_right_one(
    client: Client,
) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT):
        post(client, "/token", {**GOOD, "password": "no"})
    locked = post(client, "/token", GOOD)
    assert (locked.status_code, locked.json()["code"]) == (429, "tooManyAttempts")
    elsewhere = post(client, "/token", GOOD, REMOTE_ADDR="10.9.9.9")
    assert elsewhere.status_code == 200


def test_a_refresh_token_is_good_once_and_reuse_ends_the_sign_in(client: Client) -> None:
    first = sign_in(client)
    second = post(client, "/refresh", {"refresh": first["refresh"]}).json()
    assert second["refresh"] != first["refresh"]
    stolen = post(client, "/refresh", {"refresh": first["refresh"]})
    assert (stolen.status_code, stolen.json()["code"]) == (401, "badRefresh")
    assert post(client, "/refresh", {"refresh": second["refresh"]}).status_code == 401
    verified = client.get(PATH + "/verify", HTTP_AUTHORIZATION=f"Bearer {second['access']}")
    assert verified.status_code == 401
    assert SignIn.objects.get().revoked_because == "reuse"


def test_another_sign_in_of_the_same_user_goes_on(client: Client) -> None:
    phone, laptop = sign_in(client), sign_in(client)
    post(client, "/logout", {"refresh": phone["refresh"]})
    assert post(client, "/refresh", {"refresh": phone["refresh"]}).status_code == 401
    assert post(client, "/refresh", {"refresh": laptop["refresh"]}).status_code == 200


def test_an_expired_refresh_token_and_a_closed_account_get_nothing(
    client: Client, alice: User
) -> None:
    pair = sign_in(client)
    RefreshToken.objects.update(expires_at=clock.db_now() - timedelta(seconds=1))
    assert post(client, "/refresh", {"refresh": pair["refresh"]}).status_code == 401
    pair = sign_in(client)
    User.objects.update(is_active=False)
    assert post(client, "/refresh", {"refresh": pair["refresh"]}).status_code == 401
    assert post(client, "/token", GOOD).status_code == 401


def test_a_cookie_keeps_the_refresh_token_out_of_scripts(client: Client) -> None:
    answer = post(client, "/token", {**GOOD, "cookie": True})
    assert set(answer.json()) == {"access", "expiresIn"}
    cookie = answer.cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", PATH)
    assert answer["Cache-Control"] == "no-store"
    renewed = post(client, "/refresh")
    assert set(renewed.json()) == {"access", "expiresIn"}
    assert renewed.cookies[COOKIE].value != cookie.value
    foreign = post(client, "/refresh", HTTP_ORIGIN="http://evil.test")
    assert (foreign.status_code, foreign.json()["code"]) == (403, "foreignPage")
    own = post(client, "/refresh", HTTP_ORIGIN="http://testserver")
    assert own.status_code == 200
    assert post(client, "/logout").json() == {"ended": True}
    assert post(client, "/refresh").status_code == 401


def test_a_foreign_page_cannot_sign_its_visitor_in(client: Client) -> None:
    body = {**GOOD, "cookie": True}
    foreign = post(client, "/token", body, HTTP_ORIGIN="http://evil.test")
    assert (foreign.status_code, foreign.json()["code"]) == (403, "foreignPage")
    assert COOKIE not in foreign.cookies
    assert COOKIE in post(client, "/token", body, HTTP_ORIGIN="http://testserver").cookies


def test_a_bearer_is_verified_and_told_until_when(client: Client, alice: User) -> None:
    pair = sign_in(client)
    answer = client.get(PATH + "/verify", HTTP_AUTHORIZATION=f"Bearer {pair['access']}")
    claims = tokens.issuer().verify(pair["access"], audience=tokens.API)
    assert answer.json() == {
        "user": {"id": str(alice.pk), "email": "alice@example.com"},
        "expiresAt": claims.expires_at * 1000,
    }


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "invalidToken"),
        ("Basic YWxpY2U6eA==", "invalidToken"),
        ("Bearer", "invalidToken"),
        ("Bearer ey.no.token", "invalidToken"),
        ("Bearer expired", "tokenExpired"),
        ("Bearer socket", "invalidToken"),
    ],
)
def test_what_is_no_bearer_of_ours_is_refused(
    client: Client, alice: User, header: str, code: str
) -> None:
    if header == "Bearer expired":
        stale = tokens.issuer().issue(subject=str(alice.pk), session="", ttl_s=-60)
        header = f"Bearer {stale}"
    answer = client.get(PATH + "/verify", HTTP_AUTHORIZATION=header)
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_token_of_a_user_who_is_gone_is_refused(client: Client, alice: User) -> None:
    pair = sign_in(client)
    User.objects.all().delete()
    answer = client.get(PATH + "/verify", HTTP_AUTHORIZATION=f"Bearer {pair['access']}")
    assert answer.status_code == 401


def test_the_public_keys_are_published(client: Client) -> None:
    keys = client.get(PATH + "/jwks").json()["keys"]
    assert {key["crv"] for key in keys} == {"Ed25519"}
    assert all("d" not in key for key in keys)


def test_signing_in_is_a_users_activity_under_the_requests_id(client: Client, alice: User) -> None:
    post(client, "/token", GOOD, HTTP_X_REQUEST_ID="request-9")
    event = OutboxEvent.objects.get(name="user.activity")
    assert event.payload == {"userId": alice.pk, "action": "login"}
    assert event.correlation_id == "request-9"
    assert event.topics == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/token", "{"),
        ("/token", "[]"),
        ("/token", {}),
        ("/token", {"username": "alice"}),
        ("/token", {"username": "alice", "password": "x" * 300}),
        ("/token", {"username": 5, "password": "x"}),
        ("/refresh", {"refresh": "x" * 300}),
    ],
)
def test_a_request_that_is_wrong_says_what_to_change_and_repeats_no_secret(
    client: Client, path: str, body: Any
) -> None:
    answer = post(client, path, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "badRequest")
    assert answer.json()["message"]
    assert b"xxxx" not in answer.content


def test_a_wrong_method_is_answered_in_json(client: Client) -> None:
    for method, path in (("get", "/token"), ("delete", "/verify"), ("post", "/jwks")):
        answer = getattr(client, method)(PATH + path)
        assert (answer.status_code, answer.json()["code"]) == (405, "wrongMethod")


def test_no_token_is_kept_in_the_clear(client: Client) -> None:
    pair = sign_in(client)
    stored = json.dumps(
        [list(map(str, row)) for row in RefreshToken.objects.values_list()]
        + [list(map(str, row)) for row in SignIn.objects.values_list()]
    )
    assert pair["refresh"] not in stored
    assert pair["access"] not in stored


def test_sign_ins_that_are_over_are_forgotten(client: Client) -> None:
    sign_in(client)
    now = clock.db_now()
    assert signin.forget_expired(now=now + timedelta(days=7)) == 0
    assert signin.forget_expired(now=now + timedelta(days=9)) == 1


def test_an_external_service_is_asked_and_its_answer_kept_for_seconds(service: AuthService) -> None:
    service.body = '{"user": {"id": "user_123", "email": "user@example.com"}}'
    for _ in range(2):
        found = auth.identify("theirs", audience=tokens.SOCKET)
        assert (found.user_id, found.email, found.local) == (
            "user_123",
            "user@example.com",
            False,
        )
    assert service.asked == [("/check", "Bearer theirs")]


@pytest.mark.parametrize(
    ("status", "body", "raised"),
    [
        (401, "{}", auth.AuthRefused),
        (403, "{}", auth.AuthRefused),
        (500, "{}", auth.AuthUnavailable),
        (302, "{}", auth.AuthUnavailable),
        (200, "not json", auth.AuthUnavailable),
        (200, "[]", auth.AuthUnavailable),
        (200, '{"user": {}}', auth.AuthUnavailable),
    ],
)
def test_an_external_service_that_says_no_or_nothing_signs_nobody_in(
    status: int, body: str, raised: type[Exception], service: AuthService
) -> None:
    service.status, service.body = status, body
    with pytest.raises(raised):
        auth.identify("theirs", audience=tokens.SOCKET)
    assert len(service.asked) == 1  # a redirect is not followed


def test_a_token_with_half_a_character_is_refused_before_anybody_is_asked(
    service: AuthService,
) -> None:
    with pytest.raises(auth.AuthRefused):
        auth.identify("\ud800", audience=tokens.SOCKET)
    assert service.asked == []


def test_an_external_service_that_is_away_is_no_refusal(service: AuthService) -> None:
    service.close()
    with pytest.raises(auth.AuthUnavailable):
        auth.identify("theirs", audience=tokens.SOCKET)
