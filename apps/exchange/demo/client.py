"""A client of `/api/v3` that signs with an API key, as any program of a customer would."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import requests

# To connect, and between two bytes of the answer: a server that hangs is left alone soon.
TIMEOUT_S = (2.0, 5.0)
WINDOW_MS = 5_000
KEY_HEADER = "X-MBX-APIKEY"
TOO_MANY = {429, 418}
USUAL_PAUSE_S = 5.0


class Refused(Exception):
    """The API answered with an error."""

    def __init__(self, code: int, message: str, *, status: int) -> None:
        super().__init__(f"{code} {message}")
        self.code, self.message, self.status = code, message, status


class Throttled(Refused):
    """Too many requests: nothing may be sent for `retry_after_s`. Transient."""

    def __init__(self, code: int, message: str, *, status: int, retry_after_s: float) -> None:
        super().__init__(code, message, status=status)
        self.retry_after_s = retry_after_s


def now_ms() -> int:
    """This machine's clock, by which requests are dated."""
    return time.time_ns() // 1_000_000


def signed(params: Mapping[str, Any], *, secret: str, sent_ms: int) -> str:
    """The parameters as a query string that proves who sends them, valid for five seconds."""
    query = urlencode({**params, "recvWindow": WINDOW_MS, "timestamp": sent_ms})
    signature = hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    return f"{query}&signature={signature}"


class Client:
    """Sends one trader's requests over one connection.

    Raises Refused, and requests' exceptions where there is no answer: then an order may have been
    placed all the same.
    """

    def __init__(self, address: str, *, key: str, secret: str) -> None:
        self._address, self._secret = address, secret
        self._session = requests.Session()
        self._session.headers[KEY_HEADER] = key
        # The demo talks to its own machine, whatever proxy the environment names.
        self._session.trust_env = False

    def close(self) -> None:
        """Closes the connection."""
        self._session.close()

    def place(self, **params: Any) -> dict[str, Any]:
        """POST order; the answer of type FULL, with its fills."""
        answer: dict[str, Any] = self._send("POST", "order", {**params, "newOrderRespType": "FULL"})
        return answer

    def cancel(self, symbol: str, order_id: int) -> None:
        """DELETE order."""
        self._send("DELETE", "order", {"symbol": symbol, "orderId": order_id})

    def open_orders(self, symbol: str) -> list[dict[str, Any]]:
        """GET openOrders of one market."""
        answer: list[dict[str, Any]] = self._send("GET", "openOrders", {"symbol": symbol})
        return answer

    def balances(self) -> dict[str, dict[str, str]]:
        """GET account: what the trader has, by asset."""
        answer = self._send("GET", "account", {"omitZeroBalances": "true"})
        return {row["asset"]: row for row in answer["balances"]}

    def _send(self, method: str, path: str, params: Mapping[str, Any]) -> Any:
        query = signed(params, secret=self._secret, sent_ms=now_ms())
        answer = self._session.request(
            method, f"{self._address}/api/v3/{path}?{query}", timeout=TIMEOUT_S
        )
        if answer.ok:
            return answer.json()
        raise _refusal(answer)


def _refusal(answer: requests.Response) -> Refused:
    try:
        body = answer.json()
        code, message = int(body["code"]), str(body["msg"])
    except (ValueError, KeyError, TypeError):
        code, message = 0, f"HTTP {answer.status_code}"
    if answer.status_code in TOO_MANY:
        given = answer.headers.get("Retry-After", "")
        pause_s = float(given) if given.isdigit() else USUAL_PAUSE_S
        return Throttled(code, message, status=answer.status_code, retry_after_s=pause_s)
    return Refused(code, message, status=answer.status_code)
