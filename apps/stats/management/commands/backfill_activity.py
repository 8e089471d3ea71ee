"""manage.py backfill_activity: blocks that no scan has seen, filled in."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from apps.stats.activity import windows
from apps.stats.activity.backfilling import Backfilled, BackfillRefused, backfill
from apps.stats.activity.source import Providers
from moonx.core import clock
from moonx.core.arguments import moment
from moonx.core.chains import registry
from moonx.core.chains.models import Chain
from moonx.core.chains.reader import Reader
from moonx.core.chains.registry import UnknownChain
from moonx.core.locks import LockBusy
from moonx.core.upstream.faults import CallFailed

REFUSED, TRY_AGAIN, INTERRUPTED = 1, 75, 130
KEPT = "What was filled in stands; run the same command again to finish."
SHOWN = 5


class Command(BaseCommand):
    help = (
        "Fills in who was active in blocks that no scan has seen: before the first one, and after "
        "long outages. Reads what is missing only, newest first, and may be repeated. Exit codes: "
        "0 done, 1 refused, 2 wrong arguments, 75 providers or database do not answer: run it "
        "again, 130 interrupted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--chain", required=True, help="Slug or id, e.g. base or 8453.")
        parser.add_argument(
            "--from",
            dest="start",
            type=moment,
            help="From this time on, e.g. 2026-11-26T12:00Z (24 hours ago).",
        )
        parser.add_argument("--to", dest="end", type=moment, help="Up to this time (now).")
        parser.add_argument(
            "--dry-run", action="store_true", help="Says what is missing and fills in nothing."
        )

    def handle(self, *_: Any, **options: Any) -> None:
        chain, now = _chain(options["chain"]), clock.db_now()
        start, end = options["start"] or now - windows.DAY, options["end"] or now
        try:
            done = self._backfill(chain, start, end, now=now, dry_run=options["dry_run"])
        except BackfillRefused as error:
            raise CommandError(str(error), returncode=REFUSED) from None
        except (CallFailed, LockBusy) as error:
            raise CommandError(f"{_upper(error)}. {KEPT}", returncode=TRY_AGAIN) from None
        except (OperationalError, InterfaceError) as error:
            raise CommandError(
                f"The database stopped answering: {error}. {KEPT}", returncode=TRY_AGAIN
            ) from None
        except KeyboardInterrupt:
            raise CommandError(f"Interrupted. {KEPT}", returncode=INTERRUPTED) from None
        self.stdout.write(_report(chain, done, dry_run=options["dry_run"]))

    def _backfill(
        self, chain: Chain, start: datetime, end: datetime, *, now: datetime, dry_run: bool
    ) -> Backfilled:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        console = Console(stderr=True)
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bars:
            bar = bars.add_task(f"Blocks of {chain.slug}", total=None)

            def show(done: int, total: int) -> None:
                bars.update(bar, completed=done, total=total)

            return backfill(
                chain.slug,
                Providers(Reader.of(chain).patient()),
                start=start,
                end=end,
                now=now,
                dry_run=dry_run,
                on_step=show,
            )


def _chain(text: str) -> Chain:
    try:
        chain = registry.find(text)
    except UnknownChain as error:
        raise CommandError(str(error), returncode=REFUSED) from None
    if not Reader.of(chain).provider_names:
        raise CommandError(
            f"{chain} has no provider: set RPC_URL_{chain.slug.upper()}.", returncode=REFUSED
        )
    return chain


def _upper(error: Exception) -> str:
    text = str(error).rstrip(".")
    return text[:1].upper() + text[1:]


def _report(chain: Chain, done: Backfilled, *, dry_run: bool) -> str:
    total = sum(last - first + 1 for first, last in done.holes)
    if not total:
        return f"{chain}: nothing is missing."
    shown = ", ".join(f"{first:,} to {last:,}" for first, last in done.holes[:SHOWN])
    more = f" and {len(done.holes) - SHOWN} more ranges" if len(done.holes) > SHOWN else ""
    where = f"{shown}{more}"
    if dry_run:
        return f"{chain}: {total:,} blocks are missing: {where}."
    return (
        f"{chain}: {done.blocks:,} blocks with {done.transactions:,} transactions filled in: "
        f"{where}."
    )
