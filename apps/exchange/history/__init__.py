"""A market's past: trades from recorded files, with the bars that follow from them."""

from apps.exchange.history.files import read
from apps.exchange.history.importing import Imported, Pair, Plan, import_records
from apps.exchange.history.records import ImportRefused, Record

__all__ = ["ImportRefused", "Imported", "Pair", "Plan", "Record", "import_records", "read"]
