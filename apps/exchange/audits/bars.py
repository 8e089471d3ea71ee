"""Bars against what they are made of: 1m bars against trades, longer ones against their children,
and closed minutes' trades against the digest that was taken when they closed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.exchange import candles
from apps.exchange.audits.findings import MOST, Covered, Wrong
from apps.exchange.candles import DIGEST, OF_TRADES
from apps.exchange.models import Check
from moonx.core import money
from moonx.core.intervals import Interval

FIELDS = tuple(candles.FIELDS.split(", ")[1:-1])
LISTED = ", ".join(FIELDS)


def _of(alias: str) -> str:
    return ", ".join(f"{alias}.{name}" for name in FIELDS)


# Trades that came while their minute was open are compared too: a trade and its bar are one
# transaction, so that every snapshot has both or neither.
MINUTES = f"""
WITH made AS (
  SELECT t.market_id, date_bin('1 minute', t.executed_at, 'epoch') AS open_time,
    {OF_TRADES}, {DIGEST} AS digest
  FROM exchange_market m CROSS JOIN LATERAL (
    SELECT * FROM exchange_trade t WHERE t.market_id = m.id
      AND t.executed_at >= %(start)s AND t.executed_at < %(stop)s OFFSET 0
  ) t
  GROUP BY 1, 2
), stored AS (
  SELECT market_id, open_time, {LISTED} FROM exchange_candle
  WHERE interval = '1m' AND open_time >= %(start)s AND open_time < %(stop)s
), kept AS (
  SELECT d.* FROM exchange_market m CROSS JOIN LATERAL (
    SELECT * FROM exchange_candledigest d WHERE d.market_id = m.id
      AND d.open_time >= %(start)s AND d.open_time < %(stop)s OFFSET 0
  ) d
)
SELECT market_id, open_time, {_of("stored")}, {_of("made")}, made.digest, kept.digest
FROM made FULL JOIN stored USING (market_id, open_time) FULL JOIN kept USING (market_id, open_time)
WHERE ({_of("stored")}) IS DISTINCT FROM ({_of("made")})
  OR kept.digest IS NOT NULL AND kept.digest IS DISTINCT FROM made.digest
ORDER BY open_time, market_id LIMIT {MOST}
"""  # noqa: S608 - constants only

PARENTS = f"""
WITH made (market_id, interval, open_time, {LISTED}, revision) AS (
  {{folded}} WHERE k.interval = %(child)s AND k.open_time >= %(start)s AND k.open_time < %(stop)s
  GROUP BY k.market_id, 3
), stored AS (
  SELECT market_id, open_time, {LISTED} FROM exchange_candle
  WHERE interval = %(interval)s AND open_time >= %(start)s AND open_time < %(stop)s
)
SELECT market_id, open_time, {_of("stored")}, {_of("made")}
FROM made FULL JOIN stored USING (market_id, open_time)
WHERE ({_of("stored")}) IS DISTINCT FROM ({_of("made")})
ORDER BY open_time, market_id LIMIT {MOST}
"""  # noqa: S608 - constants only


@dataclass(frozen=True, slots=True)
class _Bucket:
    """One bar that is looked at."""

    check: Check
    market_id: int
    interval: Interval
    at: datetime

    def wrong(self, field: str, stored: str, expected: str) -> Wrong:
        return Wrong(
            check=self.check,
            market_id=self.market_id,
            interval=self.interval.value,
            at=self.at,
            field=field,
            stored=stored,
            expected=expected,
        )

    def differences(self, stored: Sequence[Any], made: Sequence[Any]) -> Iterator[Wrong]:
        """Each field that differs; a bar that is missing, or made by nothing, is one difference."""
        if stored[0] is None or made[0] is None:
            if stored[0] is not made[0]:
                yield self.wrong("bar", _presence(stored), _presence(made))
            return
        for name, is_, should in zip(FIELDS, stored, made, strict=True):
            if is_ != should:
                yield self.wrong(name, _plain(is_), _plain(should))


def minutes(*, start: datetime, stop: datetime) -> tuple[list[Wrong], list[Covered]]:
    """Looks at the 1m bars that open in [start, stop), both starts of minutes, of all markets."""
    count, wrong = len(FIELDS), list[Wrong]()
    rows = _rows(MINUTES, {"start": start, "stop": stop})
    if len(rows) == MOST:
        stop = rows[-1][1]  # what comes from there on was cut off
    for market, at, *values in rows:
        bucket = _Bucket(Check.BARS, market, Interval.M1, at)
        wrong += bucket.differences(values[:count], values[count : 2 * count])
        now, then = values[2 * count :]
        if then is not None and now != then:
            wrong.append(_changed(market, at, now=now, then=then))
    covered = [
        Covered(check=check, interval=Interval.M1.value, start=start, stop=stop)
        for check in (Check.BARS, Check.TRADES)
    ]
    return wrong, covered


def _changed(market: int, at: datetime, *, now: bytes | None, then: bytes) -> Wrong:
    return _Bucket(Check.TRADES, market, Interval.M1, at).wrong(
        "trades",
        f"digest {bytes(now).hex()[:16]}" if now else "gone",
        f"digest {bytes(then).hex()[:16]}, as when the minute closed",
    )


def parents(
    *, start: datetime, stop: datetime, closed: Mapping[Interval, datetime]
) -> tuple[list[Wrong], list[Covered]]:
    """Looks at the longer bars that end in (start, stop] and are closed, of all markets."""
    wrong: list[Wrong] = []
    covered = []
    for interval in Interval:
        if interval.child is None:
            continue
        first, last = interval.floor(start), min(interval.floor(stop), closed[interval])
        if first >= last:
            continue
        wrong += _of_interval(interval, interval.child, start=first, stop=last)
        if len(wrong) >= MOST:
            break
        covered.append(
            Covered(check=Check.PARENTS, interval=interval.value, start=first, stop=last)
        )
    return wrong, covered


def _of_interval(
    interval: Interval, child: Interval, *, start: datetime, stop: datetime
) -> Iterator[Wrong]:
    statement = PARENTS.format(folded=candles.folded(interval))
    values = {"interval": interval.value, "child": child.value, "start": start, "stop": stop}
    count = len(FIELDS)
    for market, at, *rest in _rows(statement, values):
        bucket = _Bucket(Check.PARENTS, market, interval, at)
        yield from bucket.differences(rest[:count], rest[count:])


def _presence(values: Sequence[Any]) -> str:
    if values[0] is None:
        return "missing"
    return f"one of {values[FIELDS.index('trade_count')]} trades"


def _plain(value: Any) -> str:
    return money.plain(value) if isinstance(value, Decimal) else str(value)


def _rows(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found
