"""Bars in the database: written with their trades, closed by the clock, revised when late."""

from apps.exchange.candles.closing import close, close_overdue, close_until
from apps.exchange.candles.folding import BUCKET, FOLDED, REPLACE
from apps.exchange.candles.reading import between, close_before, in_progress, present, span
from apps.exchange.candles.rows import COLUMNS, FIELDS, described, fact, watermarks
from apps.exchange.candles.writing import merge_minutes, refold_minutes

__all__ = [
    "BUCKET",
    "COLUMNS",
    "FIELDS",
    "FOLDED",
    "REPLACE",
    "between",
    "close",
    "close_before",
    "close_overdue",
    "close_until",
    "described",
    "fact",
    "in_progress",
    "merge_minutes",
    "present",
    "refold_minutes",
    "span",
    "watermarks",
]
