"""The recorded day that ships with the demo: XRPETH on Binance Spot, 2019-10-11 UTC."""

from datetime import UTC, datetime
from pathlib import Path

from apps.exchange import history
from apps.exchange.history import Record

DAY = Path(__file__).parent / "xrpeth-2019-10-11.csv.gz"
UNTIL = datetime(2019, 10, 12, tzinfo=UTC)


def read_day(*, now: datetime) -> list[Record]:
    """Its 5,929 aggregate trades, in order."""
    return [record for _, record in history.read(DAY, now=now)]
