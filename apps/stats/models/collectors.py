"""How the collectors of statistics fare, by whom they ask."""

from typing import ClassVar

from django.db import models


class Collector(models.Model):
    """One collector and one provider that it asks: when that last went well, and when not.

    `name` is the task that collects. The numbers count calls since the row was made.
    """

    name = models.TextField()
    provider = models.TextField()
    successes = models.BigIntegerField(default=0)
    failures = models.BigIntegerField(default=0)
    last_success_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)
    last_fault = models.TextField(blank=True)
    last_duration_ms = models.IntegerField(default=0)
    last_late_ms = models.IntegerField(null=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["name", "provider"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["name", "provider"], name="collector_once")
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.provider}"
