"""How a path of `/api/v3` is served: parameters checked, weight counted, errors answered.

Public paths are functions of their parameters, account paths also of who asks.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router

from apps.exchange.api import params, signing, weights
from apps.exchange.api.errors import ApiError
from apps.exchange.api.params import Param, Query
from apps.exchange.api.signing import Caller, Needs

Answer = Callable[[Query], Any]
OwnAnswer = Callable[[Query, Caller], Any]
Weight = int | Callable[[Query], int]
View = Callable[[HttpRequest], HttpResponse]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
FAULT = {
    "type": "object",
    "required": ["code", "msg"],
    "properties": {"code": {"type": "integer"}, "msg": {"type": "string"}},
}

_served: defaultdict[tuple[int, str], list[str]] = defaultdict(list)


def get(
    router: Router,
    path: str,
    *,
    takes: Sequence[Param] = (),
    weight: Weight,
    answers: dict[str, Any],
) -> Callable[[Answer], Answer]:
    """Serves GET `path` with the decorated function, whose docstring is its documentation.

    `answers` is the JSON schema of what it returns. A request that is refused for its parameters
    weighs 1.
    """

    def decorate(function: Answer) -> Answer:
        def view(request: HttpRequest) -> HttpResponse:
            used, headers = 0, dict[str, str]()
            try:
                query = _read(lambda: params.read(params.of_query(request), takes))
                used = weights.spend(request, _weigh(weight, query))
                if isinstance(query, ApiError):
                    raise query
                response = _json(function(query))
            except ApiError as error:
                response = error.response()
            return _with_headers(response, used=used, headers=headers)

        _add(router, "GET", path, _named(view, function), _documented(takes, answers))
        return function

    return decorate


def own(
    router: Router,
    method: str,
    path: str,
    *,
    needs: Needs = Needs.READ,
    takes: Sequence[Param] = (),
    weight: Weight,
    answers: dict[str, Any],
) -> Callable[[OwnAnswer], OwnAnswer]:
    """As `get`, for paths of an account: only who may do what `needs` says gets to the function.

    Parameters may stand in the query string, in the body, or in both. A request that is refused
    before its caller is known weighs 1.
    """

    def decorate(function: OwnAnswer) -> OwnAnswer:
        def view(request: HttpRequest) -> HttpResponse:
            used, headers = 0, dict[str, str]()
            try:
                proof = _read(lambda: signing.read(request, takes))
                query = proof if isinstance(proof, ApiError) else proof.query
                used = weights.spend(request, _weigh(weight, query))
                if isinstance(proof, ApiError):
                    raise proof
                caller = proof.caller(request, needs, headers)
                response = _json(function(proof.query, caller))
            except ApiError as error:
                response = error.response()
            return _with_headers(response, used=used, headers=headers)

        extra = _documented([*takes, *signing.PARAMS], answers) | {"security": signing.SCHEMES}
        _add(router, method, path, _named(view, function), extra)
        return function

    return decorate


def refuse_other_methods(router: Router) -> None:
    """Answers every method that a path of `router` does not serve; called after the last one."""
    for (_, path), allowed in [item for item in _served.items() if item[0][0] == id(router)]:
        others = [method for method in METHODS if method not in allowed]
        router.api_operation(others, path, include_in_schema=False)(_refusal(allowed))


def _add(router: Router, method: str, path: str, view: View, extra: dict[str, Any]) -> None:
    _served[(id(router), path)].append(method)
    router.api_operation([method], path, summary=path, openapi_extra=extra)(view)


def _named(view: View, function: Answer | OwnAnswer) -> View:
    view.__name__, view.__doc__ = function.__name__, function.__doc__
    return view


def _read(reading: Callable[[], Any]) -> Any:
    """What was read, or what is wrong with it, to be raised once the request was counted."""
    try:
        return reading()
    except ApiError as error:
        return error


def _weigh(weight: Weight, query: Query | ApiError) -> int:
    if isinstance(query, ApiError):
        return 1
    return weight if isinstance(weight, int) else weight(query)


def _json(answer: Any) -> HttpResponse:
    return HttpResponse(json.dumps(answer, separators=(",", ":")), content_type="application/json")


def _with_headers(response: HttpResponse, *, used: int, headers: dict[str, str]) -> HttpResponse:
    response["X-MBX-USED-WEIGHT"] = response["X-MBX-USED-WEIGHT-1M"] = str(used)
    for name, value in headers.items():
        response[name] = value
    return response


def _refusal(allowed: Sequence[str]) -> View:
    named = ", ".join(allowed)

    def refused(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
        response = ApiError(-1000, f"This path answers {named} only.", status=405).response()
        response["Allow"] = named
        return response

    return refused


def _documented(takes: Sequence[Param], answers: dict[str, Any]) -> dict[str, Any]:
    def content(schema: dict[str, Any]) -> dict[str, Any]:
        return {"content": {"application/json": {"schema": schema}}}

    return {
        "parameters": [param.documented() for param in takes],
        "responses": {
            200: {"description": "The answer", **content(answers)},
            400: {"description": "What must change, with Binance's code", **content(FAULT)},
            429: {"description": "Request weight used up; see Retry-After", **content(FAULT)},
        },
    }
