"""Bars in the database: written with their trades, closed by the clock, revised when late."""

from apps.exchange.candles.backfilling import Backfilled, backfill
from apps.exchange.candles.closing import close, close_overdue, close_until
from apps.exchange.candles.digests import DIGEST
from apps.exchange.candles.folding import BUCKET, OF_TRADES, REPLACE, folded
from apps.exchange.candles.reading import (
    between,
    close_before,
    flat_now,
    in_progress,
    present,
    span,
)
from apps.exchange.candles.rows import COLUMNS, FIELDS, described, fact, watermarks
from apps.exchange.candles.writing import Refolded, merge_minutes, refold_minutes

__all__ = [
    "BUCKET",
    "COLUMNS",
    "DIGEST",
    "FIELDS",
    "OF_TRADES",
    "REPLACE",
    "Backfilled",
    "Refolded",
    "backfill",
    "between",
    "close",
    "close_before",
    "close_overdue",
    "close_until",
    "described",
    "fact",
    "flat_now",
    "folded",
    "in_progress",
    "merge_minutes",
    "present",
    "refold_minutes",
    "span",
    "watermarks",
]
