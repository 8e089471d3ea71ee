"""What audits of market data have found."""

from typing import ClassVar

from django.db import models

from apps.exchange.models.markets import Market


class Check(models.TextChoices):
    """What was compared with what."""

    TRADES = "trades"  # a closed minute's trades with the digest taken when it closed
    BARS = "bars"  # 1m bars with their trades
    PARENTS = "parents"  # longer bars with their children
    TICKERS = "tickers"  # tickers with brute force over their window


class Finding(models.Model):
    """A field of a bar or ticker that was not what it should be, until a later look finds it right.

    `at` is a bar's open time, or the end of a ticker's window. `interval` is `24h` for tickers.
    """

    check_name = models.TextField("check", choices=Check.choices)
    market = models.ForeignKey(Market, models.PROTECT, db_index=False, related_name="+")
    interval = models.TextField()
    at = models.DateTimeField()
    field = models.TextField()
    stored = models.TextField()
    expected = models.TextField()
    times = models.IntegerField(default=1, help_text="How many looks found it.")
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["check_name", "market", "at"],
                condition=models.Q(resolved_at=None),
                name="finding_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.interval} {self.field} of {self.at:%Y-%m-%d %H:%M}"
