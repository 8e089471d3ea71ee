"""How a path of `/api/v3` is served: parameters checked, weight counted, errors answered."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router

from apps.exchange.api import params, weights
from apps.exchange.api.errors import ApiError
from apps.exchange.api.params import Param, Query

Answer = Callable[[Query], Any]
OTHER_METHODS = ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
FAULT = {
    "type": "object",
    "required": ["code", "msg"],
    "properties": {"code": {"type": "integer"}, "msg": {"type": "string"}},
}


def get(
    router: Router,
    path: str,
    *,
    takes: Sequence[Param] = (),
    weight: int | Callable[[Query], int],
    answers: dict[str, Any],
) -> Callable[[Answer], Answer]:
    """Serves GET `path` with the decorated function, whose docstring is its documentation.

    `answers` is the JSON schema of what it returns. A request that is refused for its parameters
    weighs 1.
    """

    def decorate(function: Answer) -> Answer:
        def view(request: HttpRequest) -> HttpResponse:
            used = 0
            try:
                query = _read(request, takes)
                weighs = 1 if isinstance(query, ApiError) else _weigh(weight, query)
                used = weights.spend(request, weighs)
                if isinstance(query, ApiError):
                    raise query
                response = _json(function(query))
            except ApiError as error:
                response = error.response()
            response["X-MBX-USED-WEIGHT"] = response["X-MBX-USED-WEIGHT-1M"] = str(used)
            return response

        view.__name__ = function.__name__
        view.__doc__ = function.__doc__
        router.get(path, summary=path, openapi_extra=_documented(takes, answers))(view)
        router.api_operation(OTHER_METHODS, path, include_in_schema=False)(_only_get)
        return function

    return decorate


def _read(request: HttpRequest, takes: Sequence[Param]) -> Query | ApiError:
    """The parameters, or what is wrong with them, to be raised once the request was counted."""
    try:
        return params.read(request, takes)
    except ApiError as error:
        return error


def _weigh(weight: int | Callable[[Query], int], query: Query) -> int:
    return weight if isinstance(weight, int) else weight(query)


def _json(answer: Any) -> HttpResponse:
    return HttpResponse(json.dumps(answer, separators=(",", ":")), content_type="application/json")


def _only_get(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    response = ApiError(-1000, "This path answers GET only.", status=405).response()
    response["Allow"] = "GET"
    return response


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
