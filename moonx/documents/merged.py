"""The two machine-readable documents: `/openapi.json` and `/asyncapi.json`."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ninja import NinjaAPI

from moonx import api
from moonx.core.version import version

ASYNCAPI = Path(__file__).resolve().parents[2] / "docs" / "asyncapi.yaml"
DESCRIPTION = (
    "Amounts and prices are decimal strings, times are milliseconds since 1970, absent values are "
    "null. `/api/v3` speaks as Binance Spot does, with its errors `{code, msg}`; `/udf` is a data "
    "feed as TradingView's charts read it, with numbers and seconds; everything else is camelCase, "
    "with errors `{code, message}`."
)


def _operation(summary: str, answers: Mapping[int, str]) -> dict[str, Any]:
    responses = {str(status): {"description": text} for status, text in answers.items()}
    return {"get": {"tags": ["Service"], "summary": summary, "responses": responses}}


# Paths that no NinjaAPI knows.
SERVICE: dict[str, Any] = {
    "/api/v1/info": _operation("Name, version and addresses of the service.", {200: "The service"}),
    "/health": _operation(
        "Health of every dependency, and connection counts.",
        {200: "Healthy or degraded: `status` says which", 503: "Unhealthy"},
    ),
    "/health/live": _operation("Whether the process lives.", {200: "It does"}),
    "/health/ready": _operation(
        "Whether the process can serve.", {200: "It can", 503: "A dependency is missing: its name"}
    ),
    "/connections": _operation(
        "Who is connected by WebSocket, in pages (`page`, `size`), for internal networks.",
        {200: "A page of the registry", 404: "Asked from outside"},
    ),
    "/metrics": _operation(
        "Metrics in Prometheus's text format, for internal networks.",
        {200: "The metrics", 404: "Asked from outside"},
    ),
}


def apis() -> list[NinjaAPI]:
    """Every HTTP interface that is mounted."""
    return [value for value in vars(api).values() if isinstance(value, NinjaAPI)]


@cache
def openapi() -> dict[str, Any]:
    """OpenAPI 3.1 of all HTTP interfaces; the same for the life of the process."""
    paths: dict[str, Any] = {}
    components: dict[str, Any] = {"securitySchemes": dict(api.SECURITY_SCHEMES)}
    for one in apis():
        schema = one.get_openapi_schema()
        paths |= schema["paths"]
        for kind, entries in schema.get("components", {}).items():
            components.setdefault(kind, {}).update(entries)
    return {
        "openapi": "3.1.0",
        "info": {"title": "MoonX", "version": version(), "description": DESCRIPTION},
        "paths": paths | SERVICE,
        "components": components,
    }


@cache
def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0 of `/ws`; the same for the life of the process."""
    document: dict[str, Any] = yaml.safe_load(ASYNCAPI.read_text())
    document["info"]["version"] = version()
    return document
