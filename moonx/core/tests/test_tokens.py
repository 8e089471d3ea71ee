import base64
import hashlib
import hmac
import json
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from moonx.core.tokens import (
    API,
    ISSUER,
    LEEWAY_S,
    SOCKET,
    TYPE,
    Issuer,
    TokenError,
    TokenExpired,
    TokenInvalid,
)

Forge = Callable[[Issuer], str]


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "jwt")


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    whole = {
        "iss": ISSUER,
        "sub": "1",
        "aud": [API, SOCKET],
        "iat": now,
        "exp": now + 60,
        "jti": "j",
        "sid": "",
    }
    return {name: value for name, value in (whole | changed).items() if value is not None}


def signed(issuer: Issuer, payload: dict[str, Any], **headers: Any) -> str:
    """A token with the issuer's own key: only what it says can be wrong with it."""
    key_id, key = max(issuer._loaded().items())
    return jwt.encode(
        payload, key, algorithm="EdDSA", headers={"kid": key_id, "typ": TYPE, **headers}
    )


def unsigned(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def public_pem(issuer: Issuer) -> bytes:
    return (
        max(issuer._loaded().items())[1]
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )


def test_a_token_is_good_for_api_and_socket(issuer: Issuer) -> None:
    token = issuer.issue(subject="7", session="s", ttl_s=60)
    for audience in (API, SOCKET):
        found = issuer.verify(token, audience=audience)
        assert (found.subject, found.session) == ("7", "s")
    with pytest.raises(TokenInvalid):
        issuer.verify(token, audience="somebody-else")


A_DAY_S = 86_400  # later than any run of all tests ends


@pytest.mark.parametrize("missing", ["exp", "iat", "sub", "aud", "iss", "jti"])
def test_a_token_without_a_claim_is_refused(issuer: Issuer, missing: str) -> None:
    with pytest.raises(TokenInvalid):
        issuer.verify(signed(issuer, claims(**{missing: None})), audience=API)


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": str(int(time.time()) + A_DAY_S)},
        {"exp": float("inf")},
        {"exp": True},
        {"exp": 10**400},
        {"iat": int(time.time()) + A_DAY_S},
        {"iat": "now"},
        {"iss": "moonx.evil.test"},
        {"iss": "moon"},
        {"aud": "moonx"},
        {"aud": []},
        {"sub": 1},
        {"sub": None},
        {"jti": 5},
        {"nbf": int(time.time()) + A_DAY_S},
    ],
)
def test_a_claim_of_the_wrong_kind_is_refused(issuer: Issuer, changed: dict[str, Any]) -> None:
    with pytest.raises(TokenError):
        issuer.verify(signed(issuer, claims(**changed)), audience=API)


def _hmac(own: Issuer) -> str:
    header = {"alg": "HS256", "typ": TYPE, "kid": max(own._loaded())}
    body = unsigned(header, claims()).rpartition(".")[0]
    signature = hmac.new(public_pem(own), body.encode(), hashlib.sha256).digest()
    return unsigned(header, claims(), signature)


def _own_jwk(own: Issuer) -> str:
    stranger = Ed25519PrivateKey.generate()
    raw = stranger.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).decode()}
    headers = {
        "kid": max(own._loaded()),
        "typ": TYPE,
        "jwk": jwk,
        "jku": "http://127.0.0.1:9/keys",
        "x5u": "http://127.0.0.1:9/cert",
    }
    return jwt.encode(claims(), stranger, algorithm="EdDSA", headers=headers)


def _with_other_subject(token: str) -> str:
    head, _, signature = token.split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(sub="2")).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


FORGERIES: dict[str, Forge] = {
    "no algorithm": lambda own: unsigned(
        {"alg": "none", "typ": TYPE, "kid": max(own._loaded())}, claims()
    ),
    "no algorithm, spelled otherwise": lambda own: unsigned(
        {"alg": "NonE", "typ": TYPE, "kid": max(own._loaded())}, claims()
    ),
    "the public key as a shared secret": _hmac,
    "a stranger's key under our id": lambda own: jwt.encode(
        claims(),
        Ed25519PrivateKey.generate(),
        algorithm="EdDSA",
        headers={"kid": max(own._loaded()), "typ": TYPE},
    ),
    "a stranger's key in the header": _own_jwk,
    "a path as key id": lambda own: signed(own, claims(), kid="../../../dev/null"),
    "SQL as key id": lambda own: signed(own, claims(), kid="' OR 1=1 --"),
    "a number as key id": lambda _: unsigned({"alg": "EdDSA", "typ": TYPE, "kid": 5}, claims()),
    "no key id": lambda _: unsigned({"alg": "EdDSA", "typ": TYPE}, claims(), b"x" * 64),
    "a critical extension": lambda own: signed(own, claims(), crit=["exp"]),
    "another kind of token": lambda own: signed(own, claims(), typ="JWT"),
    "a changed claim": lambda own: _with_other_subject(signed(own, claims())),
    "not a token": lambda _: "abc",
    "nothing": lambda _: "",
    "a very long one": lambda own: signed(own, claims(more="x" * 5000)),
    "a megabyte": lambda _: "a.b." + "c" * 1_000_000,
    "characters beyond ASCII": lambda _: "ключ.ключ.ключ",
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_token_is_refused(issuer: Issuer, forge: Forge) -> None:
    with pytest.raises(TokenInvalid) as refused:
        issuer.verify(forge(issuer), audience=API)
    assert "ey" not in str(refused.value).split()[0]


def test_a_token_ends_after_its_time_and_a_little_leeway(issuer: Issuer) -> None:
    now = int(time.time())
    issuer.verify(signed(issuer, claims(exp=now - LEEWAY_S + 3)), audience=API)
    with pytest.raises(TokenExpired):
        issuer.verify(signed(issuer, claims(exp=now - LEEWAY_S - 1)), audience=API)


def test_keys_are_private_and_made_once(tmp_path: Path) -> None:
    first = Issuer(tmp_path / "jwt")
    token = first.issue(subject="1", session="", ttl_s=60)
    (file,) = (tmp_path / "jwt").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert Issuer(tmp_path / "jwt").verify(token, audience=API).subject == "1"


def test_a_key_that_is_still_being_written_is_no_key(tmp_path: Path) -> None:
    directory = tmp_path / "jwt"
    directory.mkdir()
    name = "20260105120000-00000000.pem"
    for half in (f".{name}", f".{name}.draft"):
        (directory / half).write_bytes(b"-----BEGIN PRI")
    own = Issuer(directory)
    assert own.verify(own.issue(subject="1", session="", ttl_s=60), audience=API).subject == "1"
    assert len(own.public_keys()) == 1


def test_issuers_that_start_together_read_only_whole_keys(tmp_path: Path) -> None:
    issuers = [Issuer(tmp_path / "jwt") for _ in range(16)]
    with ThreadPoolExecutor(max_workers=16) as pool:
        known = list(pool.map(lambda one: one.public_keys(), issuers))
    assert all(known)


def test_a_key_is_rotated_by_adding_one_and_removing_the_old(tmp_path: Path) -> None:
    own = Issuer(tmp_path / "jwt")
    old_token = own.issue(subject="1", session="", ttl_s=60)
    (old,) = (tmp_path / "jwt").iterdir()
    other = Issuer(tmp_path / "other")
    other.issue(subject="1", session="", ttl_s=60)
    (new,) = (tmp_path / "other").iterdir()
    new.rename(tmp_path / "jwt" / "99991231235959-00000000.pem")
    rotated = Issuer(tmp_path / "jwt")
    token = rotated.issue(subject="1", session="", ttl_s=60)
    assert jwt.get_unverified_header(token)["kid"].startswith("9999")
    rotated.verify(old_token, audience=API)
    old.unlink()
    with pytest.raises(TokenInvalid):
        Issuer(tmp_path / "jwt").verify(old_token, audience=API)
    assert len(rotated.public_keys()) == 2


def test_the_public_keys_verify_and_hold_nothing_private(issuer: Issuer) -> None:
    token = issuer.issue(subject="1", session="", ttl_s=60)
    (key,) = issuer.public_keys()
    assert set(key) == {"kty", "crv", "alg", "use", "kid", "x"}
    decoded = jwt.decode(
        token, jwt.PyJWK(key).key, algorithms=["EdDSA"], audience=API, issuer=ISSUER
    )
    assert decoded["sub"] == "1"
