"""`/api/v1/auth`: tokens for the API and the WebSocket."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Router, Schema
from ninja.errors import HttpError
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from apps.realtime import auth, origins, signin
from moonx.core import tokens

COOKIE = "moonx_refresh"
PATH = "/api/v1/auth"

router = Router(tags=["Sign-in"])


class Camel(Schema):
    """JSON in camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Fault(Camel):
    """Every error of this interface."""

    code: str
    message: str


class Credentials(Camel):
    """A sign-in with a password."""

    username: str = Field(min_length=1, max_length=150)
    password: str = Field(min_length=1, max_length=256)
    cookie: bool = Field(
        default=False,
        description="Sets the refresh token as a cookie and leaves it out of the body.",
    )


class Renewal(Camel):
    """A refresh token, in the body or in the cookie."""

    refresh: str | None = Field(None, max_length=256)


class TokenPair(Camel):
    """An access token, its life in seconds, and the token that gets the next one."""

    access: str
    refresh: str | None = None
    expires_in: int


class Holder(Camel):
    """The user of a token."""

    id: str
    email: str


class Verified(Camel):
    """Whose token it is and until when (epoch ms)."""

    user: Holder
    expires_at: int | None = None


class SignedOut(Camel):
    """Whether a sign-in ended."""

    ended: bool


class JwkSet(Camel):
    """The keys that verify our tokens."""

    keys: list[dict[str, str]]


class ForeignPage(Exception):
    """A page of another origin asked for what only our own may have."""


FAULTS: dict[int, Any] = {401: Fault, 403: Fault, 429: Fault, 503: Fault}


@router.post("/token", response={200: TokenPair, **FAULTS}, by_alias=True, exclude_none=True)
def token(request: HttpRequest, response: HttpResponse, body: Credentials) -> TokenPair:
    """An access and a refresh token for a name and a password."""
    if body.cookie:  # or another site could sign its visitor in as somebody else
        _refuse_foreign_page(request)
    pair = signin.sign_in(request, username=body.username, password=body.password)
    return _answer(response, pair, as_cookie=body.cookie)


@router.post("/refresh", response={200: TokenPair, **FAULTS}, by_alias=True, exclude_none=True)
def refresh(request: HttpRequest, response: HttpResponse, body: Renewal | None = None) -> TokenPair:
    """The next pair. Each refresh token is good once; using one twice ends the sign-in."""
    given, from_cookie = _refresh_token(request, body)
    return _answer(response, signin.refresh(given), as_cookie=from_cookie)


@router.post("/logout", response={200: SignedOut, **FAULTS}, by_alias=True)
def logout(request: HttpRequest, response: HttpResponse, body: Renewal | None = None) -> SignedOut:
    """Ends the sign-in: its tokens work no more and its sockets are closed."""
    given, _ = _refresh_token(request, body)
    response.delete_cookie(COOKIE, path=PATH, samesite="Strict")
    return SignedOut(ended=signin.sign_out(given))


@router.api_operation(["GET", "POST"], "/verify", response={200: Verified, **FAULTS}, by_alias=True)
def verify(request: HttpRequest) -> Verified:
    """Whose access token the Authorization header bears."""
    identity = auth.identify(bearer_of(request), audience=tokens.API)
    return Verified(
        user=Holder(id=identity.user_id, email=identity.email),
        expires_at=identity.expires_at * 1000 or None,
    )


@router.get("/jwks", response=JwkSet, by_alias=True)
def jwks(request: HttpRequest) -> JwkSet:  # noqa: ARG001 - the framework passes it by name
    """The public keys that verify access tokens."""
    return JwkSet(keys=tokens.issuer().public_keys())


def _wrong_method(request: HttpRequest) -> None:  # noqa: ARG001 - passed by name
    raise HttpError(405, "This path takes another method: see /docs/http.")


METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
for _path, _allowed in {
    "/token": {"POST"},
    "/refresh": {"POST"},
    "/logout": {"POST"},
    "/verify": {"GET", "POST"},
    "/jwks": {"GET"},
}.items():
    _others = sorted(METHODS - _allowed)
    router.api_operation(_others, _path, include_in_schema=False)(_wrong_method)


def bearer_of(request: HttpRequest) -> str:
    """The bearer token of a request; AuthRefused without one."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given.strip():
        raise auth.AuthRefused("Send the access token: Authorization: Bearer <token>.")
    return given.strip()


def install(api: NinjaAPI) -> None:
    """Gives this router's errors their JSON in `api`."""
    answers: list[tuple[type[Exception], int, str]] = [
        (signin.WrongCredentials, 401, "wrongCredentials"),
        (signin.BadRefresh, 401, "badRefresh"),
        (signin.TooManyAttempts, 429, "tooManyAttempts"),
        (auth.AuthExpired, 401, "tokenExpired"),
        (auth.AuthRefused, 401, "invalidToken"),
        (auth.AuthUnavailable, 503, "authUnavailable"),
        (ForeignPage, 403, "foreignPage"),
    ]
    for kind, status, code in answers:
        api.add_exception_handler(kind, _handler(api, status=status, code=code))


def _handler(api: NinjaAPI, *, status: int, code: str) -> Any:
    def handle(request: HttpRequest, error: Exception) -> HttpResponse:
        response: HttpResponse = api.create_response(
            request, {"code": code, "message": str(error)}, status=status
        )
        if status == 401:
            response["WWW-Authenticate"] = "Bearer"
        return response

    return handle


def _refresh_token(request: HttpRequest, body: Renewal | None) -> tuple[str, bool]:
    if body is not None and body.refresh:
        return body.refresh, False
    given = request.COOKIES.get(COOKIE)
    if not given:
        raise signin.BadRefresh("Send the refresh token in the body or in the cookie.")
    # SameSite=Strict keeps other sites out; pages of a sister host are the same site, so ask.
    _refuse_foreign_page(request)
    return given, True


def _refuse_foreign_page(request: HttpRequest) -> None:
    if not origins.is_allowed(
        request.headers.get("Origin"), host=request.get_host(), secure=request.is_secure()
    ):
        raise ForeignPage("Only a page of this server may use its cookie.")


def _answer(response: HttpResponse, pair: signin.Pair, *, as_cookie: bool) -> TokenPair:
    response["Cache-Control"] = "no-store"
    if as_cookie:
        response.set_cookie(
            COOKIE,
            pair.refresh,
            max_age=settings.ENV.refresh_token_ttl_s,
            path=PATH,
            httponly=True,
            samesite="Strict",
            secure=settings.SESSION_COOKIE_SECURE,
        )
    return TokenPair(
        access=pair.access,
        refresh=None if as_cookie else pair.refresh,
        expires_in=pair.expires_in_s,
    )
