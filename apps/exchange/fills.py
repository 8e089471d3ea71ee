"""Fills as they stand: those of busted trades are gone, those of corrected trades follow them."""

from collections.abc import Iterable, Iterator

from django.db.models import Exists, OuterRef, QuerySet

from apps.exchange.models import Amendment, AmendmentKind, Fill, Market


def of(owner_id: int, market: Market) -> "QuerySet[Fill]":
    """The owner's fills in a market whose trades stand."""
    busted = Amendment.objects.filter(market=market, seq=OuterRef("seq"), kind=AmendmentKind.BUST)
    return Fill.objects.filter(~Exists(busted), owner_id=owner_id, market=market)


def as_they_stand(
    market: Market, fills: Iterable[Fill], *, before: int | None = None
) -> Iterator[Fill]:
    """The same fills, with price, quote quantity and fee of the trade as it is now, or as it was
    `before` an epoch."""
    rows = list(fills)
    seqs = [fill.seq for fill in rows]
    found = Amendment.objects.filter(market=market, seq__in=seqs).order_by("epoch")
    if before is not None:
        found = found.filter(epoch__lt=before)
    latest = {amendment.seq: amendment for amendment in found}
    for fill in rows:
        if fill.seq in latest:
            _follow(fill, latest[fill.seq])
        yield fill


def _follow(fill: Fill, amendment: Amendment) -> None:
    fee = amendment.maker_fee if fill.is_maker else amendment.taker_fee
    fill.price = amendment.new_price or fill.price
    fill.quote_quantity = amendment.new_quote_quantity or fill.quote_quantity
    fill.fee = fill.fee if fee is None else fee
