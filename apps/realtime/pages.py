"""The dashboard at `/`, and what stands where a page is missing or failed."""

import json

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from moonx.core.version import version

# Heights of the chart's skeleton, in the steps that its style sheet knows.
SKELETON = [
    *(2, 1, 2, 3, 2, 3, 4, 3, 4, 5, 4, 6, 5, 6, 5, 6),
    *(5, 4, 3, 4, 3, 2, 3, 4, 5, 4, 5, 6, 5, 4, 5, 6),
]
# The tabs under the chart.
OWN_PARTS = ["orders", "fills", "past", "balances"]
# So many figures has a chain's card, and so many rows the skeleton of the bridges' table.
CHAIN_FIGURES = range(9)
BRIDGE_ROWS = range(12)

INFO = {
    "name": "MoonX",
    "version": version(),
    "endpoints": {
        "page": "/",
        "keys": "/keys",
        "http": "/api/v3",
        "webSocket": "/ws",
        "documents": "/docs",
        "openapi": "/openapi.json",
        "asyncapi": "/asyncapi.json",
        "health": "/health",
    },
}


def home(request: HttpRequest) -> HttpResponse:
    """The live page; what the service is, as JSON, to whoever asks for JSON."""
    if prefers_json(request):
        return info(request)
    shown = {
        "skeleton_bars": SKELETON,
        "own_parts": OWN_PARTS,
        "chain_figures": CHAIN_FIGURES,
        "bridge_rows": BRIDGE_ROWS,
    }
    return render(request, "realtime/page.html", shown)


def keys(request: HttpRequest) -> HttpResponse:
    """Where the reader's API keys are made and revoked."""
    return render(request, "realtime/keys.html")


def info(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - a view
    """Name, version and addresses of the service."""
    return JsonResponse(INFO)


def prefers_json(request: HttpRequest) -> bool:
    """Whether the client wants JSON rather than a page; `*/*` alone is a page."""
    if request.path.startswith("/api/"):
        return True
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """404 in the look of the page, or as JSON."""
    if prefers_json(request):
        message = f"There is nothing at {request.path[:200]}: /docs/http lists every path."
        return JsonResponse({"code": "notFound", "message": message}, status=404)
    return render(request, "404.html", status=404)


def failed(request: HttpRequest) -> HttpResponseBase:
    """500 in the look of the page, or as JSON; touches nothing that may have caused it."""
    if prefers_json(request):
        message = "The server failed on this request. Try again; its log names the cause."
        body = json.dumps({"code": "internal", "message": message})
        return HttpResponse(body, status=500, content_type="application/json")
    return HttpResponse(render_to_string("500.html"), status=500)
