"""The exchange in the admin: what operators see, and the few things they may do."""

from apps.exchange.admin import (
    audits,
    events,
    ledger,
    market_data,
    markets,
    orders,
    traders,
    trades,
)

__all__ = ["audits", "events", "ledger", "market_data", "markets", "orders", "traders", "trades"]
