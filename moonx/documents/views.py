"""`/docs` and what is linked there."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from moonx.documents.merged import asyncapi, openapi
from moonx.documents.outline import outline, resolve, type_of
from moonx.documents.prose import prose

METHODS = ("get", "post", "put", "patch", "delete")
UNGROUPED = "Other"
JSON = "application/json"


def index(request: HttpRequest) -> HttpResponse:
    """Where each interface is described, and how to make the first call."""
    context = {"page": "index", "origin": _origin(request), "socket": _socket(request)}
    return render(request, "realtime/docs/index.html", context)


def openapi_json(_: HttpRequest) -> JsonResponse:
    """The HTTP interfaces as OpenAPI."""
    return JsonResponse(openapi())


def asyncapi_json(_: HttpRequest) -> JsonResponse:
    """The WebSocket as AsyncAPI."""
    return JsonResponse(asyncapi())


def http_page(request: HttpRequest) -> HttpResponse:
    """`/openapi.json` for people."""
    document = openapi()
    context = {
        "page": "http",
        "description": prose(document["info"]["description"]),
        "groups": _groups(document),
        "origin": _origin(request),
    }
    return render(request, "realtime/docs/http.html", context)


def ws_page(request: HttpRequest) -> HttpResponse:
    """`/asyncapi.json` for people."""
    document = asyncapi()
    context = {
        "page": "ws",
        "description": prose(document["info"]["description"]),
        "said": _messages(document, action="receive"),
        "heard": _messages(document, action="send"),
        "channels": document["x-channels"],
        "codes": document["x-close-codes"],
        "socket": _socket(request),
    }
    return render(request, "realtime/docs/ws.html", context)


def _origin(request: HttpRequest) -> str:
    return f"{request.scheme}://{request.get_host()}"


def _socket(request: HttpRequest) -> str:
    return _origin(request).replace("http", "ws", 1) + "/ws"


def _groups(document: dict[str, Any]) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                tag = (item[method].get("tags") or [UNGROUPED])[0]
                groups.setdefault(tag, []).append(_operation(document, path, method, item[method]))
    return [
        {"name": name, "slug": name.lower().replace(" ", "-"), "operations": operations}
        for name, operations in groups.items()
    ]


def _operation(
    document: dict[str, Any], path: str, method: str, operation: dict[str, Any]
) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema")
    return {
        "method": method.upper(),
        "path": path,
        "anchor": f"{method}{path.replace('/', '-')}".replace("{", "").replace("}", ""),
        "text": prose(operation.get("description") or operation.get("summary", "")),
        "parameters": [_parameter(one, document) for one in operation.get("parameters", [])],
        "body": outline(body, document) if body else "",
        "responses": list(_responses(operation, document)),
    }


def _parameter(parameter: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    parameter = dict(resolve(parameter, document))
    schema = parameter.get("schema", {})
    return {
        "name": parameter["name"],
        "place": parameter["in"],
        "required": parameter.get("required", False),
        "type": type_of(schema, document),
        "text": prose(parameter.get("description") or schema.get("description", "")),
    }


def _responses(operation: dict[str, Any], document: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for status, response in operation.get("responses", {}).items():
        schemas = [one["schema"] for one in response.get("content", {}).values()]
        schema = {"oneOf": schemas} if schemas[1:] else next(iter(schemas), None)
        yield {
            "status": str(status),
            "good": str(status).startswith("2"),
            "text": prose(response.get("description", "")),
            "shape": outline(schema, document) if schema else "",
        }


def _messages(document: dict[str, Any], *, action: str) -> list[dict[str, Any]]:
    found = []
    for operation in document["operations"].values():
        if operation["action"] != action:
            continue
        for reference in operation["messages"]:
            message = resolve(resolve(reference, document), document)
            found.append(_message(dict(message), document))
    return found


def _message(message: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    data = _data_of(message["payload"], document)
    return {
        "name": message["name"],
        "text": prose(message.get("summary", "")),
        "data": outline(data, document) if data else "",
    }


def _data_of(payload: dict[str, Any], document: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of a message's `data`, wherever its parts state it."""
    payload = dict(resolve(payload, document))
    for part in [payload, *(dict(resolve(one, document)) for one in payload.get("allOf", []))]:
        data: dict[str, Any] | None = part.get("properties", {}).get("data")
        if data is not None and data != {"type": "object"}:
            return data
    return None
