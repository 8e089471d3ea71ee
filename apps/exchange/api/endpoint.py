"""How a path of `/api/v3` is served: parameters checked, weight counted, errors answered.

Public paths are functions of their parameters, account paths also of who asks. What is public may
be kept by its reader, who asks each time whether it still stands: even a closed bar may be revised.
What belongs to an account, what says the time, and every error is kept by nobody.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router

from apps.exchange.api import params, signing
from apps.exchange.api.errors import ApiError, TooManyRequests
from apps.exchange.api.params import Param, Query, Values
from apps.exchange.api.schemas import TEXT, WHOLE, Schema, shape
from apps.exchange.api.signing import Caller, Needs
from moonx.core import http, weights

Answer = Callable[[Query], Any]
OwnAnswer = Callable[[Query, Caller], Any]
Weight = int | Callable[[Query], int]
View = Callable[[HttpRequest], HttpResponse]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
JSON = "application/json"
FAULT = shape(code=WHOLE, msg=TEXT)
USED_UP = "Request weight used up; see Retry-After"


def _json(answer: Any) -> HttpResponse:
    return HttpResponse(json.dumps(answer, separators=(",", ":")), content_type=JSON)


def _error(error: ApiError) -> HttpResponse:
    return error.response()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How an interface reads its parameters, writes its answers and refusals, and documents them.

    `faults` are the statuses of refusals and what they mean: JSON as `fault`, whatever type an
    answer has. Among them may be 200, the answer's own.
    """

    read: Callable[[Values, Sequence[Param]], Query] = params.read
    answer: Callable[[Any], HttpResponse] = _json
    refusal: Callable[[ApiError], HttpResponse] = _error
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON
    fault: Schema = field(default_factory=lambda: FAULT)
    faults: Mapping[int, str] = field(
        default_factory=lambda: {400: "What must change, with Binance's code", 429: USED_UP}
    )


BINANCE = Manner()

_served: defaultdict[tuple[int, str], list[str]] = defaultdict(list)


def get(
    router: Router,
    path: str,
    *,
    takes: Sequence[Param] = (),
    weight: Weight,
    answers: Schema,
    manner: Manner = BINANCE,
    is_momentary: bool = False,
) -> Callable[[Answer], Answer]:
    """Serves GET `path` with the decorated function, whose docstring is its documentation.

    `answers` is the JSON schema of what it returns. A request that is refused for its parameters
    weighs 1; one whose answer its sender has already is answered 304 and weighs as any other. An
    answer that says what time it is, `is_momentary`, is never given again and kept by nobody.
    """

    def decorate(function: Answer) -> Answer:
        def view(request: HttpRequest) -> HttpResponse:
            used = 0
            try:
                query = _read(lambda: manner.read(params.of_query(request), takes))
                used = _spend(request, _weigh(weight, query))
                if isinstance(query, ApiError):
                    raise query
                response = manner.answer(function(query))
                response = _unkept(response) if is_momentary else _kept(request, response)
            except ApiError as error:
                response = manner.refusal(error)
            return _with_headers(response, used=used, headers=manner.headers)

        extra = _documented(takes, answers, manner=manner, may_be_kept=not is_momentary)
        _add(router, "GET", path, _named(view, function), extra)
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
    answers: Schema,
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
                used = _spend(request, _weigh(weight, query))
                if isinstance(proof, ApiError):
                    raise proof
                caller = proof.caller(request, needs, headers)
                response = _json(function(proof.query, caller))
            except ApiError as error:
                response = error.response()
            return _with_headers(_unkept(response), used=used, headers=headers)

        takes_all = [*takes, *signing.PARAMS]
        extra = _documented(takes_all, answers, manner=BINANCE, may_be_kept=False)
        extra |= {"security": signing.SCHEMES}
        _add(router, method, path, _named(view, function), extra)
        return function

    return decorate


def refuse_other_methods(router: Router, *, manner: Manner = BINANCE) -> None:
    """Answers every method that a path of `router` does not serve, in its manner; called after the
    last one."""
    for (_, path), allowed in [item for item in _served.items() if item[0][0] == id(router)]:
        others = [method for method in METHODS if method not in allowed]
        router.api_operation(others, path, include_in_schema=False)(_refusal(allowed, manner))


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
    try:
        return weight if isinstance(weight, int) else weight(query)
    except ApiError:  # what cannot be weighed is refused for the same reason
        return 1


def _spend(request: HttpRequest, weight: int) -> int:
    try:
        return weights.spend(request, weight)
    except weights.UsedUp as refused:
        raise TooManyRequests(limit=refused.limit, retry_after_s=refused.retry_after_s) from None


def _kept(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    name = f'"{blake2b(response.content, digest_size=16).hexdigest()}"'
    return http.kept(request, response, name=name)


def _unkept(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response


def _with_headers(response: HttpResponse, *, used: int, headers: Mapping[str, str]) -> HttpResponse:
    response["X-MBX-USED-WEIGHT"] = response["X-MBX-USED-WEIGHT-1M"] = str(used)
    for name, value in headers.items():
        response[name] = value
    return response


def _refusal(allowed: Sequence[str], manner: Manner) -> View:
    named = ", ".join(allowed)

    def refused(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
        error = ApiError(-1000, f"This path answers {named} only.", status=405)
        response = manner.refusal(error)
        for name, value in {**manner.headers, "Allow": named}.items():
            response[name] = value
        return response

    return refused


def _documented(
    takes: Sequence[Param], answers: Schema, *, manner: Manner, may_be_kept: bool
) -> dict[str, Any]:
    unchanged = {304: {"description": "Unchanged since `If-None-Match`"}} if may_be_kept else {}
    responses = _responses(answers, manner) | unchanged
    return {
        "parameters": [param.documented() for param in takes],
        "responses": {status: responses[status] for status in sorted(responses)},
    }


def _responses(answers: Schema, manner: Manner) -> dict[int, Any]:
    shapes: dict[int, dict[str, list[Schema]]] = {200: {manner.content_type: [answers]}}
    for status in manner.faults:
        shapes.setdefault(status, {}).setdefault(JSON, []).append(manner.fault)
    texts = {200: "The answer", **manner.faults}
    return {
        status: {
            "description": texts[status],
            "content": {kind: {"schema": _either(found)} for kind, found in kinds.items()},
        }
        for status, kinds in shapes.items()
    }


def _either(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
