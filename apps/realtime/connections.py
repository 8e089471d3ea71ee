"""`/connections`: who is connected, for operators."""

from collections import Counter
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from redis.exceptions import RedisError

from apps.realtime import registry
from moonx.core import valkey
from moonx.core.http import inside_only

PAGE_SIZE, LARGEST_PAGE = 100, 1000


@inside_only
def connections(request: HttpRequest) -> HttpResponse:
    """A page of the connection registry; `?page=` from 1, `?size=` up to 1000."""
    try:
        page = max(1, int(request.GET.get("page", "1")))
        size = min(LARGEST_PAGE, max(1, int(request.GET.get("size", str(PAGE_SIZE)))))
    except ValueError:
        return JsonResponse(
            {"code": "badRequest", "message": "`page` and `size` are whole numbers."}, status=400
        )
    try:
        items, _ = registry.read(valkey.client())
    except (RedisError, OSError):
        message = "The registry does not answer: try again."
        return JsonResponse({"code": "unavailable", "message": message}, status=503)
    return JsonResponse(listing(items, page=page, size=size))


def listing(items: list[dict[str, Any]], *, page: int, size: int) -> dict[str, Any]:
    """Page `page` of the connections, and how they divide."""
    return {
        "total": len(items),
        "byState": Counter(item["state"] for item in items),
        "byChannel": Counter(name for item in items for name in item["channels"]),
        "page": page,
        "pages": max(1, -(-len(items) // size)),
        "items": items[(page - 1) * size : page * size],
    }
