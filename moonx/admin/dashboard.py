"""The admin's first page: what needs a human now, and where to look."""

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils.timesince import timesince

from apps.exchange import freshness
from apps.exchange.admin import cells
from apps.exchange.audits import rounds
from apps.exchange.ledger import reconcile
from apps.exchange.models import Finding, Market, MarketStatus, Ticker, Trader
from moonx import schedule
from moonx.admin import statistics
from moonx.admin.cards import Card, listed, named
from moonx.core import clock, money, presence
from moonx.core.cells import millisecond
from moonx.core.models import Cursor, Heartbeat, OutboxEvent

# More than a relay leaves behind between two looks.
BACKLOG = 1_000
BACKLOG_AGE = timedelta(seconds=10)
UNCLEAN_AFTER = timedelta(minutes=5)
SHOWN = 10


def fill(_request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds to the context of the admin's first page what its template shows."""
    now = clock.db_now()
    context["cards"] = cards(now=now)
    context["processes"] = _processes(now=now)
    context["markets"] = _markets()
    context["lateness"] = _lateness(now=now)
    context["collectors"] = statistics.collectors(now=now)
    return context


def cards(*, now: datetime) -> list[Card]:
    """The questions in the order of their urgency."""
    return [
        _silent(),
        _late(),
        _waiting(now=now),
        _unclosed(now=now),
        _wrong(now=now),
        _halted(),
        _frozen(),
        _reconciled(now=now),
        *statistics.cards(now=now),
    ]


def _silent() -> Card:
    rows = presence.silent()
    return Card(
        title="Silent processes",
        figure=str(len(rows)),
        sentence=named(row.role for row in rows) or "Every process reports.",
        link=listed("core_heartbeat", "state=silent" if rows else ""),
        is_fine=not rows,
    )


def _late() -> Card:
    rows = schedule.overdue()
    return Card(
        title="Late tasks",
        figure=str(len(rows)),
        sentence=named(row.name for row in rows) or "Beat sends everything on time.",
        link=listed("django_celery_beat_periodictask", "state=late" if rows else ""),
        is_fine=not rows,
    )


def _waiting(*, now: datetime) -> Card:
    count = OutboxEvent.objects.order_by()[: BACKLOG + 1].count()
    oldest = OutboxEvent.objects.order_by("id").values_list("created_at", flat=True).first()
    is_old = oldest is not None and now - oldest > BACKLOG_AGE
    position = Cursor.objects.filter(name="relay").values_list("position", flat=True).first() or 0
    return Card(
        title="Events waiting",
        figure=f"{BACKLOG:,}+" if count > BACKLOG else str(count),
        sentence=f"The oldest for {timesince(oldest, now)}: is the relay running?"
        if is_old and oldest
        else f"Published up to position {position:,}.",
        link=listed("core_outboxevent"),
        is_fine=count <= BACKLOG and not is_old,
    )


def _unclosed(*, now: datetime) -> Card:
    intervals, tickers = freshness.unclosed(now=now), freshness.stale_tickers(now=now)
    late = [*intervals, *(f"ticker {symbol}" for symbol in tickers)]
    return Card(
        title="Stale market data",
        figure=str(len(late)),
        sentence=named(late) or "Candles are closed, tickers are fresh.",
        link=listed("exchange_candlewatermark" if intervals else "exchange_ticker"),
        is_fine=not late,
    )


def _wrong(*, now: datetime) -> Card:
    rows = Finding.objects.filter(resolved_at=None).select_related("market")
    count = rows.count()
    last = Cursor.objects.filter(name=rounds.TICKERS_CURSOR).first()
    whole = Cursor.objects.filter(name=rounds.ROUND).first()
    is_late = last is not None and now - last.updated_at > UNCLEAN_AFTER
    right = f"Every bar was looked at {timesince(whole.updated_at, now)} ago." if whole else ""
    if is_late and last:
        right = f"Last looked at {timesince(last.updated_at, now)} ago: is the queue stats served?"
    return Card(
        title="Wrong market data",
        figure=str(count),
        sentence=named(f"{row.market} {row.interval} {row.field}" for row in rows[:4])
        or right
        or "The first look at every bar is under way.",
        link=listed("exchange_finding", "state=open" if count else ""),
        is_fine=not count and not is_late,
    )


def _halted() -> Card:
    rows = Market.objects.filter(status=MarketStatus.HALT).order_by("halted_at")
    return Card(
        title="Halted markets",
        figure=str(len(rows)),
        sentence=named(f"{row.symbol} ({row.halt_reason or 'no reason'})" for row in rows)
        or "No market is halted.",
        link=listed("exchange_market", "status__exact=HALT" if rows else ""),
        is_fine=not rows,
    )


def _frozen() -> Card:
    rows = Trader.objects.filter(frozen_at__isnull=False).select_related("user")
    return Card(
        title="Frozen traders",
        figure=str(len(rows)),
        sentence=named(row.user.username for row in rows) or "Nobody is frozen.",
        link=listed("exchange_trader", "state=frozen" if rows else ""),
        is_fine=not rows,
    )


def _reconciled(*, now: datetime) -> Card:
    """The ledger is looked at every minute; the reader's position moves when it was clean."""
    seen = Cursor.objects.filter(name=reconcile.CURSOR).first()
    is_late = seen is not None and now - seen.updated_at > UNCLEAN_AFTER
    return Card(
        title="Ledger",
        figure="unclean" if is_late else "clean",
        sentence=f"Last found clean {timesince(seen.updated_at, now)} ago."
        if seen
        else "Not looked at yet.",
        link=listed("core_publishedevent", "name=system.alert")
        if is_late
        else listed("exchange_journal"),
        is_fine=not is_late,
    )


def _processes(*, now: datetime) -> dict[str, Any]:
    rows = Heartbeat.objects.order_by("role", "host")[:SHOWN]
    return {
        "headers": ["Role", "Host", "Reported", "Memory", "Up for"],
        "rows": [
            [
                row.role,
                row.host,
                f"{(now - row.beat_at).total_seconds():.0f} s ago",
                f"{row.stats.get('rssBytes', 0) / 2**20:.0f} MiB",
                timesince(row.started_at, now),
            ]
            for row in rows
        ],
    }


def _lateness(*, now: datetime) -> dict[str, Any]:
    """What is due at set moments; a ticker's run is due five seconds after the last one."""
    return {
        "headers": ["What", "Due (UTC)", "Done (UTC)", "Late by", "Next overdue by", "State"],
        "rows": [
            [
                found.what,
                millisecond(found.due),
                millisecond(found.done),
                cells.lasting(found.late),
                cells.lasting(found.overdue),
                found.state,
            ]
            for found in freshness.of_market_data(now=now)
        ],
    }


def _markets() -> dict[str, Any]:
    rows = Ticker.objects.select_related("market").order_by("-trade_count")[:SHOWN]
    return {
        "headers": ["Market", "Status", "Last", "Trades in 24 h", "Volume in 24 h"],
        "rows": [
            [
                row.market.symbol,
                row.market.status,
                "—" if row.last is None else money.plain(row.last),
                f"{row.trade_count:,}",
                money.plain(row.base_volume),
            ]
            for row in rows
        ],
    }
