"""Circuits as rows: how each stands, and every change that it made."""

from typing import ClassVar

from django.db import models

from moonx.core.resilience.circuit import CallClass, CircuitState, Target, Trip


class Circuit(models.Model):
    """One circuit as it stands. What Valkey has is a copy that may be lost.

    `version` grows with each change; `wait_ms` is how long from `since` an open circuit waits, or
    for how long a probe of a half-open one may be under way.
    """

    key = models.TextField(primary_key=True)
    provider = models.TextField()
    chain = models.TextField(blank=True)
    kind = models.TextField("class", choices=[(kind.value, kind.value) for kind in CallClass])
    state = models.TextField(choices=[(state.value, state.value) for state in CircuitState])
    version = models.BigIntegerField(default=0)
    level = models.SmallIntegerField(
        default=0, help_text="Openings in a row, on which the wait depends; falls while closed."
    )
    since = models.DateTimeField()
    wait_ms = models.IntegerField(default=0)
    is_held = models.BooleanField("held", default=False, help_text="An operator holds it open.")
    is_ramped = models.BooleanField("ramped", default=False)
    trip = models.TextField(
        "opened by", blank=True, choices=[(trip.value, trip.value or "—") for trip in Trip]
    )
    calls = models.IntegerField(default=0, help_text="In the minute before it opened.")
    failures = models.IntegerField(default=0)
    slow = models.IntegerField(default=0)

    class Meta:
        db_table = "core_circuit"
        ordering: ClassVar[list[str]] = ["provider", "chain", "kind"]

    def __str__(self) -> str:
        return str(self.target)

    @property
    def target(self) -> Target:
        """What it stands before."""
        return Target(provider=self.provider, chain=self.chain, kind=CallClass(self.kind))


class CircuitEvent(models.Model):
    """One change of a circuit, written once, for ever."""

    circuit = models.ForeignKey(Circuit, models.PROTECT, db_index=False, related_name="events")
    version = models.BigIntegerField()
    from_state = models.TextField("from")
    to_state = models.TextField("to")
    trip = models.TextField("opened by", blank=True)
    calls = models.IntegerField(default=0)
    failures = models.IntegerField(default=0)
    slow = models.IntegerField(default=0)
    level = models.SmallIntegerField()
    wait_ms = models.IntegerField()
    by = models.TextField(blank=True, help_text="The operator; empty where the rules did it.")
    reason = models.TextField(blank=True)
    correlation_id = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "core_circuit_event"
        verbose_name = "change of a circuit"
        verbose_name_plural = "changes of circuits"
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["circuit", "version"], name="circuit_changes_once_a_version"
            )
        ]

    def __str__(self) -> str:
        return f"{self.circuit_id} {self.from_state} → {self.to_state}"
