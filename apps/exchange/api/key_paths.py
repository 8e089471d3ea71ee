"""`/api/v1/api-keys`: making, listing and revoking one's own API keys."""

from ipaddress import ip_network
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Router
from ninja.errors import HttpError
from pydantic import AfterValidator, Field

from apps.exchange import keys
from apps.exchange.api import own
from apps.exchange.api.own import FAULTS, SECURITY, Camel
from apps.exchange.models import ApiKey
from moonx.core.intervals import to_ms

router = Router(tags=["API keys"])

MOST_NETWORKS = 50


def _network(text: str) -> str:
    """An address or network as it is stored; ValueError where it is none."""
    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError:
        raise ValueError(
            "must be addresses like 203.0.113.7 or networks like 203.0.113.0/24"
        ) from None


def _readable(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be readable text")
    return text.strip()


class KeyWanted(Camel):
    """A key to be made."""

    label: Annotated[str, AfterValidator(_readable)] = Field(
        min_length=1, max_length=100, description="What you will know it by."
    )
    can_trade: bool = Field(default=True, strict=True, description="false: it may look, not trade.")
    ip_list: list[Annotated[str, AfterValidator(_network)]] = Field(
        default=[], max_length=MOST_NETWORKS, description="Where it may be used; empty: anywhere."
    )


class Key(Camel):
    """A key that stands; times are in ms."""

    api_key: str
    label: str
    can_trade: bool
    ip_list: list[str]
    created_at: int
    last_used_at: int | None


class NewKey(Key):
    """A new key, with its secret for the only time."""

    secret_key: str


class Revoked(Camel):
    """A key that works no more."""

    api_key: str
    revoked: bool


@router.get("", response={200: list[Key], **FAULTS}, by_alias=True, openapi_extra=SECURITY)
def list_keys(request: HttpRequest) -> list[Key]:
    """Your keys, newest first. Secrets are shown when a key is made, never again."""
    return [Key(**_fields(row)) for row in keys.standing(own.user_of(request))]


@router.post("", response={200: NewKey, **FAULTS}, by_alias=True, openapi_extra=SECURITY)
def make_key(request: HttpRequest, response: HttpResponse, body: KeyWanted) -> NewKey:
    """A new key. Keep the secret: it is shown this once."""
    user_id = own.user_of(request)
    try:
        issued = keys.issue(
            user_id, label=body.label, may_trade=body.can_trade, addresses=body.ip_list
        )
    except keys.TooManyKeys as error:
        raise HttpError(400, str(error)) from None
    own.private(response)
    return NewKey(**_fields(issued.row), secret_key=issued.secret)


@router.delete(
    "/{api_key}", response={200: Revoked, **FAULTS}, by_alias=True, openapi_extra=SECURITY
)
def revoke_key(request: HttpRequest, api_key: str) -> Revoked:
    """Ends a key: the next request that it signs is refused."""
    if not keys.revoke(own.user_of(request), api_key):
        raise HttpError(404, "You have no such key.")
    return Revoked(api_key=api_key, revoked=True)


@router.api_operation(own.others("GET", "POST"), "", include_in_schema=False)
def _only_get_and_post(request: HttpRequest) -> None:  # noqa: ARG001 - passed by name
    own.wrong_method()


@router.api_operation(own.others("DELETE"), "/{api_key}", include_in_schema=False)
def _only_delete(request: HttpRequest, api_key: str) -> None:  # noqa: ARG001 - passed by name
    own.wrong_method()


def _fields(row: ApiKey) -> dict[str, Any]:
    return {
        "api_key": row.key,
        "label": row.label,
        "can_trade": row.may_trade,
        "ip_list": row.addresses,
        "created_at": to_ms(row.created_at),
        "last_used_at": to_ms(row.last_used_at) if row.last_used_at else None,
    }
