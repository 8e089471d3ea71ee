"""`/api/v1`: what Binance's interface has no place for: API keys and the ledger's statement."""

from typing import Any, NoReturn

from django.http import HttpRequest, HttpResponse
from ninja import Schema
from ninja.errors import HttpError
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from apps.exchange.api import signing
from moonx.core import identity, tokens, weights

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
SECURITY: dict[str, Any] = {"security": [{"Bearer": []}]}


class Camel(Schema):
    """JSON in camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Fault(Camel):
    """Every error of this interface."""

    code: str
    message: str


FAULTS: dict[int, Any] = {400: Fault, 401: Fault, 404: Fault, 429: Fault, 503: Fault}


def user_of(request: HttpRequest) -> int:
    """Whose access token the request bears; API keys and cookies do not count here.

    Raises identity.AuthError, which the interface answers.
    """
    token = signing.token_of(request)
    if not token:
        raise identity.AuthRefused("Send the access token: Authorization: Bearer <token>.")
    return identity.local_user_id(identity.identify(token, audience=tokens.API))


def spend(request: HttpRequest, weight: int) -> None:
    """Counts a request against its address, together with those of `/api/v3`.

    Raises HttpError 429 beyond the limit.
    """
    try:
        weights.spend(request, weight)
    except weights.UsedUp as refused:
        raise HttpError(429, str(refused)) from None


def private(response: HttpResponse) -> HttpResponse:
    """Nobody on the way keeps the answer."""
    response["Cache-Control"] = "no-store"
    return response


def wrong_method() -> NoReturn:
    """Refuses a method that a path does not take."""
    raise HttpError(405, "This path takes another method: see /docs/http.")


def others(*allowed: str) -> list[str]:
    """The methods that a path does not take."""
    return sorted(METHODS - set(allowed))
