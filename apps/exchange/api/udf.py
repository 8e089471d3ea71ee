"""`/udf`: a data feed in TradingView's Universal Data Feed protocol, to which charts attach.

It is public and knows no credentials, so pages of any origin may read it. What is wrong with a
request is answered with HTTP 200 and `{s: "error", errmsg}`: that is where the library looks. Only
who has to wait gets 429, another path 404, another method 405, and what the server could not do is
5xx, all in the same shape.
"""

from dataclasses import replace
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import Case, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI, Router

from apps.exchange import candles, klines
from apps.exchange.api import asked, endpoint, errors, params
from apps.exchange.api.endpoint import Manner
from apps.exchange.api.errors import ApiError
from apps.exchange.api.params import Param, Query
from apps.exchange.api.schemas import WHOLE
from apps.exchange.api.udf_shapes import (
    CONFIG,
    ERROR,
    EXCHANGE,
    HISTORY,
    KIND,
    RESOLUTIONS,
    SEARCH,
    SYMBOL,
    described,
    found_symbol,
    history_json,
)
from apps.exchange.klines import Wish
from apps.exchange.models import Market
from moonx.core import clock, logs
from moonx.core.intervals import Interval, to_ms

log = logs.get("moonx.udf")

USUAL_FOUND, MOST_FOUND = 30, 100
MOST_BARS = 5_000  # in one answer; the library asks for the bars before them by itself
S = 1000  # ms
PLAIN = "text/plain"

NAME = Param(
    name="symbol",
    legal=f"^([A-Za-z0-9]{{1,20}}:)?{params.NAME}$",
    text="A market, `XRPETH` or `MoonX:XRPETH`.",
    required=True,
)
RESOLUTION = Param(
    name="resolution",
    legal="^[0-9]{0,4}[DWM]?$",
    text=f"One of {', '.join(RESOLUTIONS)}.",
    required=True,
)
SECONDS = "^-?[0-9]{1,20}$"
FROM = Param(name="from", legal=SECONDS, text="The first bar's time or an earlier one, s.")
TO = Param(name="to", legal=SECONDS, text="Only bars before this time, s.", required=True)
COUNTBACK = Param(
    name="countback", legal=params.NUMBER, text="How many bars before `to`; then `from` is ignored."
)
WANTED = Param(name="query", legal=r"^[^\x00-\x1f\x7f]{1,50}$", text="Part of a name.")
TYPE = Param(name="type", legal=WANTED.legal, text=f"Only this type: there is `{KIND}`.")
PLACE = Param(name="exchange", legal=WANTED.legal, text="Only this exchange's.")
FEW = Param(name="limit", legal=params.NUMBER, text="How many, 30 by default, at most 100.")


def _written(answer: Any) -> HttpResponse:
    return answer if isinstance(answer, HttpResponse) else JsonResponse(answer, safe=False)


def _plain(answer: Any) -> HttpResponse:
    return HttpResponse(str(answer), content_type=PLAIN)


def _refused(error: ApiError) -> HttpResponse:
    """The error as the library reads it; when to come back is told where it has to wait."""
    response = error.response()
    response.content = _error(error.message).content
    if response.status_code == 400:
        response.status_code = 200
    return response


def _error(message: str, *, status: int = 200) -> HttpResponse:
    body = {"s": "error", "errmsg": message}
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})


PUBLIC = {"Access-Control-Allow-Origin": "*"}
LIBRARY = Manner(
    read=params.read_kindly,
    answer=_written,
    refusal=_refused,
    headers=PUBLIC,
    fault=ERROR,
    faults={200: "The answer, or what must change", 429: endpoint.USED_UP},
)
TEXT_ALONE = replace(LIBRARY, answer=_plain, content_type=PLAIN)

router = Router(tags=["Chart data feed"])


@endpoint.get(router, "/config", weight=1, answers=CONFIG, manner=LIBRARY)
def config(_: Query) -> dict[str, Any]:
    """What this feed can do."""
    return {
        "supports_search": True,
        "supports_group_request": False,
        "supports_marks": False,
        "supports_timescale_marks": False,
        "supports_time": True,
        "supported_resolutions": list(RESOLUTIONS),
        "exchanges": [{"value": EXCHANGE, "name": EXCHANGE, "desc": EXCHANGE}],
        "symbols_types": [{"name": "All types", "value": ""}, {"name": "Crypto", "value": KIND}],
    }


@endpoint.get(router, "/time", weight=1, answers=WHOLE, manner=TEXT_ALONE, is_momentary=True)
def server_time(_: Query) -> int:
    """The time by which bars are made, in whole seconds, as a number alone."""
    return to_ms(clock.db_now()) // S


@endpoint.get(router, "/symbols", takes=[NAME], weight=2, answers=SYMBOL, manner=LIBRARY)
def symbol(query: Query) -> dict[str, Any]:
    """How a market is to be drawn."""
    return described(_market(query))


@endpoint.get(
    router,
    "/search",
    takes=[WANTED, TYPE, PLACE, FEW],
    weight=2,
    answers=SEARCH,
    manner=LIBRARY,
)
def search(query: Query) -> list[dict[str, str]]:
    """Markets whose symbol, or the name of whose assets, holds `query`, in any case."""
    limit = query.limit(usual=USUAL_FOUND, most=MOST_FOUND)
    if query.text("type") not in {None, KIND} or query.text("exchange") not in {None, EXCHANGE}:
        return []
    return [found_symbol(market) for market in _matching(query.text("query") or "")[:limit]]


@endpoint.get(
    router,
    "/history",
    takes=[NAME, RESOLUTION, FROM, TO, COUNTBACK],
    weight=lambda query: 2 * -(-_most(query) // params.LARGEST_LIMIT),
    answers=HISTORY,
    manner=LIBRARY,
)
def history(query: Query) -> HttpResponse:
    """Bars before `to`: the newest `countback`, or those since `from`; oldest first.

    At most the newest 5,000 of them. Prices and volumes are exact decimals, written as JSON
    numbers. Without any, `nextTime` is the time in ms of the newest bar before `from`.
    """
    interval, market, now = _interval(query), _market(query), candles.present()
    wish = _wish(query)
    found = klines.read(market, interval, wish, now=now)
    earlier = [] if found else klines.read(market, interval, _before(wish), now=now)
    body = history_json(market, found, earlier=earlier)
    return HttpResponse(body, content_type="application/json")


def _most(query: Query) -> int:
    return min(query.number("countback") or MOST_BARS, MOST_BARS)


def _wish(query: Query) -> Wish:
    end_ms = (query.number("to") or 0) * S - 1
    since = None if query.number("countback") else (query.number("from") or 0) * S
    return Wish(start_ms=since, end_ms=end_ms, limit=_most(query), is_newest=True)


def _before(wish: Wish) -> Wish:
    """The newest bar before those; where only an end was wished, there is none."""
    end_ms = wish.end_ms or 0
    start_ms = end_ms + 1 if wish.start_ms is None else wish.start_ms
    return Wish(end_ms=min(start_ms - 1, end_ms), limit=1)


def _interval(query: Query) -> Interval:
    wanted = query.needed("resolution")
    if wanted not in RESOLUTIONS and f"1{wanted}" not in RESOLUTIONS:
        raise ApiError(*errors.BAD_INTERVAL)
    return RESOLUTIONS.get(wanted) or RESOLUTIONS[f"1{wanted}"]


def _market(query: Query) -> Market:
    exchange, _, name = query.needed("symbol").rpartition(":")
    if exchange.upper() not in {"", EXCHANGE.upper()}:
        errors.fail(errors.BAD_SYMBOL)
    return asked.named([name])[0]


def _matching(text: str) -> "QuerySet[Market]":
    """Markets that match, those whose symbol starts with `text` first."""
    held = (
        Q(symbol__icontains=text) | Q(base__name__icontains=text) | Q(quote__name__icontains=text)
    )
    rank = Case(When(symbol__istartswith=text, then=Value(0)), default=Value(1))
    found = Market.objects.select_related("base", "quote").filter(held)
    return found.order_by(rank, "symbol")


@csrf_exempt
def no_such_path(_: HttpRequest, *__: Any, **___: Any) -> HttpResponse:
    """404 as JSON, for every path below /udf that is not one."""
    return _public(_error("There is no such path; /docs/http lists all of them.", status=404))


def install(api: NinjaAPI) -> None:
    """Makes `api` answer what nobody expected in the same form as any error."""
    api.add_exception_handler(Exception, _unexpected)
    api.add_exception_handler(OperationalError, _unreachable)
    api.add_exception_handler(InterfaceError, _unreachable)


def _unexpected(request: HttpRequest, error: Any) -> HttpResponse:
    log.exception("request failed", path=request.path, exc_info=error)
    return _public(_error("An unknown error occurred. Please try again.", status=500))


def _unreachable(request: HttpRequest, error: Any) -> HttpResponse:
    log.error("database does not answer", path=request.path, error=type(error).__name__)
    return _public(_error("The server is busy. Please try again.", status=503))


def _public(response: HttpResponse) -> HttpResponse:
    for name, value in PUBLIC.items():
        response[name] = value
    return response
