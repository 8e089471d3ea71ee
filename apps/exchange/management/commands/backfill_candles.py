"""manage.py backfill_candles: bars made anew from their trades."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from apps.exchange import candles
from apps.exchange.candles import Backfilled
from apps.exchange.models import Market
from moonx.core import clock
from moonx.core.arguments import moment
from moonx.core.intervals import Interval
from moonx.core.locks import LockBusy

REFUSED, TRY_AGAIN, INTERRUPTED = 1, 75, 130
KEPT = "What was made is whole; run the same command again to finish."
SHOWN = 5
FIRST_YEAR, LAST_YEAR = 1971, 9000


class Command(BaseCommand):
    help = (
        "Makes bars of all nine intervals anew from the trades, where they differ: missing ones "
        "are made, wrong ones replaced, those without trades removed. May be repeated. Exit codes: "
        "0 done, 1 refused, or minutes were left because their trades changed after they closed, "
        "2 wrong arguments, 75 interrupted: run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("symbols", nargs="*", type=str.upper, help="Markets; none: all.")
        parser.add_argument(
            "--from", dest="start", type=_moment, help="From this time on, e.g. 2026-11-26T12:00Z."
        )
        parser.add_argument("--to", dest="end", type=_moment, help="Up to this time (now).")
        parser.add_argument(
            "--accept-trades",
            action="store_true",
            help="Takes trades that changed after their minute had closed for right.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Says what would change and changes nothing."
        )

    def handle(self, *_: Any, **options: Any) -> None:
        start, end = options["start"] or datetime(1970, 1, 1, tzinfo=UTC), options["end"]
        end = end or clock.db_now()
        if start >= end:
            raise CommandError("--from must lie before --to.", returncode=REFUSED)
        markets = _markets(options["symbols"])
        left = 0
        try:
            for market in markets:
                done = self._backfill(market, start, end, options)
                left += len(done.left)
                self.stdout.write(_report(market, done, dry_run=options["dry_run"]))
        except LockBusy as error:
            raise CommandError(f"{error}. {KEPT}", returncode=TRY_AGAIN) from None
        except (OperationalError, InterfaceError) as error:
            raise CommandError(
                f"The database stopped answering: {error}. {KEPT}", returncode=TRY_AGAIN
            ) from None
        except KeyboardInterrupt:
            raise CommandError(f"Interrupted. {KEPT}", returncode=INTERRUPTED) from None
        if left:
            raise CommandError(
                f"{left} minutes were left as they are: their trades are not those that they "
                "closed with. Find out why; --accept-trades takes the trades as they stand.",
                returncode=REFUSED,
            )

    def _backfill(
        self, market: Market, start: datetime, end: datetime, options: dict[str, Any]
    ) -> Backfilled:
        span = candles.span(market)
        begin = max(start, span[0]) if span else start
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        console = Console(stderr=True)
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bars:
            total_s = max(1.0, (end - begin).total_seconds())
            bar = bars.add_task(market.symbol, total=total_s)

            def show(moment: datetime) -> None:
                bars.update(bar, completed=(moment - begin).total_seconds())

            return candles.backfill(
                market,
                start=start,
                end=end,
                accepts_trades=options["accept_trades"],
                dry_run=options["dry_run"],
                on_step=show,
            )


def _markets(symbols: list[str]) -> list[Market]:
    found = Market.objects.select_related("base", "quote")
    if not symbols:
        return list(found)
    named = {market.symbol: market for market in found.filter(symbol__in=symbols)}
    for symbol in symbols:
        if symbol not in named:
            raise CommandError(f"There is no market {symbol}.", returncode=REFUSED)
    return [named[symbol] for symbol in dict.fromkeys(symbols)]


def _moment(text: str) -> datetime:
    found = moment(text)
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise ArgumentTypeError(f"{text!r} lies outside the years {FIRST_YEAR} to {LAST_YEAR}")
    return found


def _report(market: Market, done: Backfilled, *, dry_run: bool) -> str:
    verb = "would change" if dry_run else "changed"
    counts = ", ".join(f"{done.changed[one]} of {one}" for one in Interval if one in done.changed)
    text = f"{market}: {done.minutes} minutes looked at, {done.total} bars {verb}"
    text += f" ({counts})" if counts else ""
    if done.left:
        shown = ", ".join(f"{moment:%Y-%m-%d %H:%M}" for moment in done.left[:SHOWN])
        more = f" and {len(done.left) - SHOWN} more" if len(done.left) > SHOWN else ""
        text += f"; trades changed since they closed, left as they are: {shown}{more}"
    return f"{text}."
