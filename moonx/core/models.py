"""The kernel's rows: events on their way, who is alive, which chains there are, circuits."""

from typing import Any, ClassVar

from django.db import models

from moonx.core.chains.models import Chain
from moonx.core.resilience.models import Circuit, CircuitEvent

__all__ = (
    "Chain",
    "Circuit",
    "CircuitEvent",
    "Cursor",
    "Heartbeat",
    "OutboxEvent",
    "PublishedEvent",
    "SpelledJson",
)


class SpelledJson(models.JSONField):
    """JSON kept as it was spelled: what only passes through is neither parsed nor sorted."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:  # noqa: ARG002
        """The value, or a part of it: the driver parses this type by itself."""
        return value

    def db_type(self, connection: Any) -> str:  # noqa: ARG002 - the framework passes it
        """The column's type."""
        return "json"


class OutboxEvent(models.Model):
    """A fact that committed and waits for the relay."""

    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()
    key = models.TextField()
    topics = SpelledJson()
    payload = SpelledJson()
    correlation_id = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "core_outbox"


class PublishedEvent(models.Model):
    """A fact with its place in the one published order; kept for seven days."""

    position = models.BigIntegerField(primary_key=True)
    id = models.BigIntegerField()
    name = models.TextField()
    key = models.TextField()
    topics = SpelledJson()
    payload = SpelledJson()
    correlation_id = models.TextField(blank=True)
    created_at = models.DateTimeField()
    relayed_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "core_event"
        ordering: ClassVar[list[str]] = ["-position"]
        verbose_name = "event"

    def __str__(self) -> str:
        return f"{self.position} {self.name}"


class Cursor(models.Model):
    """How far a reader of the published order has come."""

    name = models.TextField(primary_key=True)
    position = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.name} at {self.position}"


class Heartbeat(models.Model):
    """One running process of a role, as it last reported."""

    instance = models.TextField(primary_key=True)
    role = models.TextField(db_index=True)
    host = models.TextField()
    pid = models.IntegerField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    stats = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.instance
