"""What every HTTP request passes through: a correlation id in and out, client addresses."""

import re
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags

from moonx.core import logs

HEADER = "X-Request-ID"
ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

Handler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class CorrelationMiddleware:
    """Takes a well-formed X-Request-ID or makes one; answers with it and logs under it."""

    sync_capable = False
    async_capable = True

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get(HEADER, "")
        with logs.correlated(acceptable_id(given)) as chosen:
            response = await self.get_response(request)
            response[HEADER] = chosen
            return response


def acceptable_id(given: str) -> str:
    """A request's own id, if it is well-formed; else an empty one."""
    return given if ACCEPTABLE.fullmatch(given) else ""


def client_ip(*, peer: str, forwarded_for: str) -> str:
    """The address to hold limits against: the right-most one that is not a trusted proxy."""
    trusted = set(settings.ENV.trusted_proxies)
    if peer not in trusted:
        return peer
    for hop in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()]):
        if hop not in trusted:
            return hop
    return peer


def request_ip(request: HttpRequest) -> str:
    """The client's address of an HTTP request."""
    return client_ip(
        peer=request.META.get("REMOTE_ADDR", ""),
        forwarded_for=request.META.get("HTTP_X_FORWARDED_FOR", ""),
    )


def address_group(address: str) -> str:
    """Whom a limit per address counts: an IPv4 address, also one written as IPv6, or the /64 of
    an IPv6 one, which is one customer's; `unknown` for what is no address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ip_network((parsed.packed, 64), strict=False))
        return str(parsed.ipv4_mapped)
    return str(parsed)


def kept(request: HttpRequest, response: HttpResponse, *, name: str) -> HttpResponse:
    """The answer under its entity tag `name`, or 304 without a body where the request has it.

    Whoever keeps it asks each time whether it still stands. Other conditions are for what is
    changed: nothing here is.
    """
    has_it = is_held(request.headers.get("If-None-Match", ""), name=name)
    found = HttpResponseNotModified() if has_it else response
    found["ETag"], found["Cache-Control"] = name, "no-cache"
    return found


def is_held(if_none_match: str, *, name: str) -> bool:
    """Whether the tags of an `If-None-Match` say that its sender has what is called `name`."""
    held = [_plain(one) for one in parse_etags(if_none_match)]
    return _plain(name) in held or held == ["*"]


def _plain(tag: str) -> str:
    return tag.removeprefix("W/")


def is_internal(request: HttpRequest) -> bool:
    """Whether the request comes from a network that may see the installation's inside."""
    try:
        address = ip_address(request_ip(request))
    except ValueError:
        return False
    return any(address in ip_network(net) for net in settings.ENV.internal_networks)


def inside_only(
    view: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Answers 404 to whoever is neither staff nor in an internal network."""

    def guarded(request: HttpRequest) -> HttpResponse:
        user = getattr(request, "user", None)
        if is_internal(request) or (user is not None and user.is_staff):
            return view(request)
        return HttpResponse("Not found", status=404)

    return cast("Callable[[HttpRequest], HttpResponse]", guarded)
