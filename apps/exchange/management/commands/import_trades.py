"""manage.py import_trades: a market's history from a file of aggregate trades."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from apps.exchange import history
from apps.exchange.history import Imported, ImportRefused, Pair, Plan, Record
from moonx.core import clock
from moonx.core.arguments import moment
from moonx.core.locks import LockBusy

REFUSED, TRY_AGAIN, INTERRUPTED = 1, 75, 130
KEPT = "What was stored is whole; run the same command again to finish."


class Command(BaseCommand):
    help = (
        "Imports Binance aggregate trades (JSON or CSV, plain, gzip or zip) into a market and "
        "builds its bars. May be repeated, in any order, with duplicates. Exit codes: 0 done, "
        "1 refused and nothing stored, 2 wrong arguments, 75 interrupted: run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("symbol", type=str.upper, help="The market, e.g. XRPETH.")
        parser.add_argument("file", type=Path, help="The recorded aggregate trades.")
        parser.add_argument(
            "--create",
            type=_pair,
            metavar="BASE/QUOTE",
            help="Makes the market (and its assets) if there is none; tick and step follow from "
            "the digits of the data.",
        )
        parser.add_argument(
            "--until",
            type=moment,
            metavar="TIME",
            help="End of the record, e.g. 2019-10-12T00:00Z (default: end of the last trade's "
            "minute). Bars without trades run up to it.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Checks everything and stores nothing."
        )

    def handle(self, *_: Any, **options: Any) -> None:
        plan = Plan(
            symbol=options["symbol"],
            create=options["create"],
            until=options["until"],
            dry_run=options["dry_run"],
        )
        try:
            done = self._import(options["file"], plan)
        except ImportRefused as error:
            raise CommandError(f"Nothing was imported. {error}", returncode=REFUSED) from None
        except LockBusy as error:
            raise CommandError(f"{_upper(error)}. {KEPT}", returncode=TRY_AGAIN) from None
        except (OperationalError, InterfaceError) as error:
            raise CommandError(
                f"The database stopped answering: {error}. {KEPT}", returncode=TRY_AGAIN
            ) from None
        except KeyboardInterrupt:
            raise CommandError(f"Interrupted. {KEPT}", returncode=INTERRUPTED) from None
        self.stdout.write(_report(plan, done))

    def _import(self, path: Path, plan: Plan) -> Imported:
        found = history.read(path, now=clock.db_now())
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(
            *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
        ) as bars:
            checking = bars.add_task("Checking", total=None)
            storing = bars.add_task("Storing", total=None, visible=False)

            def watched() -> Iterator[tuple[str, Record]]:
                for count, trade in enumerate(found, start=1):
                    yield trade
                    if not count % 1000:
                        bars.update(checking, completed=count)

            def stored(done: int, total: int) -> None:
                bars.update(checking, visible=False)
                bars.update(storing, visible=True, completed=done, total=total)

            return history.import_records(watched(), plan, on_progress=stored)


def _pair(text: str) -> Pair:
    base, slash, quote = text.upper().partition("/")
    if not (base and slash and quote):
        raise ArgumentTypeError(f"{text!r} is not of the form BASE/QUOTE, e.g. XRP/ETH")
    return Pair(base=base, quote=quote)


def _upper(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]


def _report(plan: Plan, done: Imported) -> str:
    present = done.trades - done.stored
    verb = "would be stored" if plan.dry_run else "stored"
    parts = [f"{plan.symbol}: {done.trades} trades read, {done.stored} {verb}"]
    if present:
        parts.append(f"{present} were there already")
    if done.created:
        parts.append("the market would be made" if plan.dry_run else "the market was made")
    if done.recorded_until:
        parts.append(f"recorded until {done.recorded_until:%Y-%m-%dT%H:%MZ}")
    return "; ".join(parts) + "."
