"""Requests signed with a real key, and requests with a token, in-process."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.test import Client

from apps.exchange import keys
from moonx.core import clock, tokens
from moonx.core.intervals import to_ms

FORM = "application/x-www-form-urlencoded"


def signature(payload: str | bytes, secret: str) -> str:
    raw = payload.encode() if isinstance(payload, str) else payload
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def now_ms() -> int:
    return to_ms(clock.db_now())


def bearer(user_id: int) -> dict[str, str]:
    """The headers of a request with an access token of that user."""
    User.objects.get(pk=user_id)
    token = tokens.issuer().issue(subject=str(user_id), session="", ttl_s=60)
    return {"Authorization": f"Bearer {token}"}


class Signer:
    """Sends signed requests in the name of a user, as a client of Binance does."""

    def __init__(self, user_id: int, *, address: str = "127.0.0.1", **options: Any) -> None:
        values = {"label": "test", "may_trade": True, "addresses": [], **options}
        issued = keys.issue(user_id, **values)
        self.key, self.secret = issued.row.key, issued.secret
        self.client = Client(REMOTE_ADDR=address)
        self.headers = {"X-MBX-APIKEY": self.key}

    def sign(self, params: Mapping[str, Any]) -> str:
        query = urlencode({"timestamp": now_ms(), **params})
        return f"{query}&signature={signature(query, self.secret)}"

    def send(self, method: str, path: str, **params: Any) -> Any:
        """With everything in the query string."""
        return self.raw(method, path, query=self.sign(params))

    def raw(
        self, method: str, path: str, *, query: str = "", body: str = "", **headers: str
    ) -> Any:
        """Exactly these bytes."""
        return self.client.generic(
            method,
            f"/api/v3{path}?{query}",
            body,
            content_type=FORM,
            headers={**self.headers, **headers},
        )

    def ask(self, method: str, path: str, **params: Any) -> Any:
        """The JSON of an answer that is no error."""
        answer = self.send(method, path, **params)
        assert answer.status_code == 200, answer.content
        return json.loads(answer.content)

    def refused(self, method: str, path: str, **params: Any) -> tuple[int, str]:
        """Code and sentence of an answer that is an error."""
        return fault(self.send(method, path, **params))

    def rejected(self, method: str, path: str, **params: Any) -> tuple[int, str]:
        """Code and sentence of an answer that knows nobody."""
        return fault(self.send(method, path, **params), 401)


def fault(answer: Any, status: int = 400) -> tuple[int, str]:
    assert answer.status_code == status, answer.content
    body = json.loads(answer.content)
    return body["code"], body["msg"]
