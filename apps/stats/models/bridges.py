"""What bridges answered: each request, and the hours that they make up."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models


class BridgeSample(models.Model):
    """One request for a quote; kept for 7 days.

    `fault` is the class of its failure, "" where a quote came; one that was held back was never
    made and has no latency. `route_ms` is how long the bridge says that the transfer takes.
    """

    provider = models.TextField()
    source = models.TextField(help_text="The chain that is left.")
    target = models.TextField(help_text="The chain that is reached.")
    asset = models.TextField()
    size = models.IntegerField(help_text="Whole coins.")
    fault = models.TextField(blank=True)
    latency_ms = models.IntegerField(null=True)
    route_ms = models.BigIntegerField(null=True)
    simulated = models.BooleanField()
    verdict = models.TextField(blank=True, help_text="What was told after it.")
    sampled_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["sampled_at"], name="bridge_sample_by_time"),
            models.Index(
                fields=["provider", "source", "target", "size", "sampled_at"],
                name="bridge_sample_by_subject",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.source}>{self.target} {self.size}: {self.fault or 'quote'}"

    @property
    def is_ok(self) -> bool:
        """Whether a quote came."""
        return not self.fault


class BridgeHour(models.Model):
    """The requests of one hour; kept for 90 days.

    It keeps each quote's latency, in order: percentiles of several hours cannot be made from those
    of each.
    """

    provider = models.TextField()
    source = models.TextField()
    target = models.TextField()
    size = models.IntegerField()
    hour = models.DateTimeField()
    simulated = models.BooleanField()
    counts = models.JSONField(help_text="Requests by class of failure; quotes under an empty name.")
    latencies_ms = ArrayField(models.IntegerField())

    class Meta:
        ordering: ClassVar[list[str]] = ["-hour"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["provider", "source", "target", "size", "hour", "simulated"],
                name="one_row_an_hour_of_a_bridge",
            )
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["hour"], name="bridge_hour_by_time")
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.source}>{self.target} {self.size} {self.hour:%Y-%m-%d %H}"
