"""The markets that a request names."""

from collections.abc import Sequence

from apps.exchange.api import errors
from apps.exchange.api.params import Query
from apps.exchange.models import Market


def market(query: Query) -> Market:
    """The market of `symbol`, of the wanted status; ApiError where there is none."""
    status, found = query.status(), named([query.needed("symbol")])[0]
    if status and found.status != status:
        errors.fail(errors.OTHER_STATUS)
    return found


def markets(query: Query, symbols: Sequence[str] | None) -> list[Market]:
    """The named markets in that order, or all; without those of another status than wanted.

    A single one of another status, sent as `symbol`, fails the request.
    """
    if "symbol" in query:
        return [market(query)]
    status, found = query.status(), named(symbols)
    return [one for one in found if one.status == status] if status else found


def named(symbols: Sequence[str] | None) -> list[Market]:
    """The named markets in that order, or all; one unknown name fails the whole request."""
    found = Market.objects.select_related("base", "quote")
    if symbols is None:
        return list(found)
    by_name = {one.symbol: one for one in found.filter(symbol__in=symbols)}
    if len(by_name) < len(symbols):
        errors.fail(errors.BAD_SYMBOL)
    return [by_name[symbol] for symbol in symbols]
