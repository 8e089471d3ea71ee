"""How the paths of statistics answer: from rows, under an entity tag that ages do not change."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from hashlib import blake2b
from typing import Any, Concatenate, ParamSpec, cast

from django.http import HttpRequest, HttpResponse
from ninja import Router
from ninja.errors import HttpError

from apps.stats.api.asked import Camel
from moonx.core import http, sharing, weights

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Spelled(str):
    """JSON text of a value."""

    __slots__ = ()


class Fault(Camel):
    """Every error of this interface."""

    code: str
    message: str


FAULTS: dict[int, Any] = {400: Fault, 404: Fault, 429: Fault, 503: Fault}


def answer(request: HttpRequest, body: Mapping[str, Any], **momentary: Any) -> HttpResponse:
    """The JSON of both, or 304 where its sender has it already but for what is momentary: ages, and
    the time of the answer. The tag is a weak one, as the bytes differ.

    Members of `body` that are Spelled stand in it as they are.
    """
    text = _text(body)
    digest = blake2b(text.encode(), digest_size=16).hexdigest()
    if momentary:
        text = _text({**body, **momentary})
    response = HttpResponse(text, content_type="application/json")
    return http.kept(request, response, name=f'W/"{digest}"')


def spelled(value: Any) -> Spelled:
    """The value as JSON, to be kept and used again."""
    return Spelled(_dumped(value))


def _text(body: Mapping[str, Any]) -> str:
    members = [
        f"{_dumped(name)}:{value if isinstance(value, Spelled) else _dumped(value)}"
        for name, value in body.items()
    ]
    return f"{{{','.join(members)}}}"


def _dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def weighing(weight: int) -> Callable[[View[P]], View[P]]:
    """Counts each request against its address, together with those of the other interfaces.

    Beyond the limit it is refused with 429 and `Retry-After`. Whatever is answered depends on
    nothing but the path and its parameters: equal requests share it.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def weighed(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            try:
                weights.spend(request, weight)
            except weights.UsedUp as refused:
                return _used_up(refused)
            response = view(request, *args, **kwargs)
            response[sharing.WEIGHT] = str(weight)
            return response

        return cast("View[P]", weighed)

    return decorate


def _used_up(refused: weights.UsedUp) -> HttpResponse:
    body = {"code": "tooManyRequests", "message": str(refused)}
    headers = {"Retry-After": str(refused.retry_after_s), "Cache-Control": "no-store"}
    return HttpResponse(_text(body), status=429, content_type="application/json", headers=headers)


def refuse_other_methods(router: Router, paths: Sequence[str]) -> None:
    """Answers what is no GET to these paths with 405 and a sentence."""
    others = [method for method in METHODS if method not in {"GET", "HEAD"}]
    for path in paths:
        refusal = _refuse_of_chain if "{chain}" in path else _refuse
        router.api_operation(others, path, include_in_schema=False)(refusal)


def _refuse(request: HttpRequest) -> None:  # noqa: ARG001 - passed by name
    raise HttpError(405, "This path answers GET only.")


def _refuse_of_chain(request: HttpRequest, chain: str) -> None:  # noqa: ARG001 - passed by name
    _refuse(request)
