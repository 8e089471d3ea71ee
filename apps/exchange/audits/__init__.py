"""Audits: market data is compared with the trades that it is made of, all the time."""

from apps.exchange.audits.rounds import Looked, look
from apps.exchange.audits.tickers import look_at_foreign

__all__ = ["Looked", "look", "look_at_foreign"]
