"""What is known of a chain's activity: leaves, what is rolled up of them, sealed days, records."""

from typing import ClassVar

from django.db import models


class LeafState(models.TextChoices):
    """Whether the chain may still replace a leaf's blocks."""

    PROVISIONAL = "provisional"
    FINAL = "final"


class Span(models.TextChoices):
    """What leaves are rolled up to."""

    HOUR = "hour"
    DAY = "day"


class ActivityLeaf(models.Model):
    """The blocks of one minute with the addresses of each. Partitioned by day, kept for a week.

    What its binary columns hold is told by the module that packs them. Everything that happened
    between `covered_from`, the time of the block before the first, and `last_time` is in it.
    """

    pk = models.CompositePrimaryKey("chain", "bucket_start")
    chain = models.TextField()
    bucket_start = models.DateTimeField()
    state = models.TextField(choices=LeafState.choices)
    first_block = models.BigIntegerField()
    last_block = models.BigIntegerField()
    parent_hash = models.BinaryField()
    last_hash = models.BinaryField()
    covered_from = models.DateTimeField()
    last_time = models.DateTimeField()
    transactions = models.BigIntegerField()
    gas_used = models.BigIntegerField()
    digest = models.BinaryField()
    blocks = models.BinaryField()
    senders = models.BinaryField()
    recipients = models.BinaryField()

    class Meta:
        managed = False
        db_table = "stats_activity_leaf"

    def __str__(self) -> str:
        return f"{self.chain} at {self.bucket_start:%Y-%m-%d %H:%M}"


class ActivityRollup(models.Model):
    """A whole hour or day of final leaves: each address once, in order. Partitioned as leaves are.

    It is gone as soon as one of its leaves changes, and is made anew: its leaves stand for it.
    """

    pk = models.CompositePrimaryKey("chain", "span", "start")
    chain = models.TextField()
    span = models.TextField(choices=Span.choices)
    start = models.DateTimeField()
    stop = models.DateTimeField()
    first_block = models.BigIntegerField()
    last_block = models.BigIntegerField()
    transactions = models.BigIntegerField()
    gas_used = models.BigIntegerField()
    sender_count = models.BigIntegerField()
    participant_count = models.BigIntegerField()
    senders = models.BinaryField()
    recipients = models.BinaryField()

    class Meta:
        managed = False
        db_table = "stats_activity_rollup"

    def __str__(self) -> str:
        return f"{self.chain}, {self.span} of {self.start:%Y-%m-%d %H:%M}"


class ActivityDay(models.Model):
    """A day that is over and final, or as it stood when its sets went: kept for ever."""

    chain = models.TextField()
    day = models.DateField()
    blocks = models.BigIntegerField()
    first_block = models.BigIntegerField()
    last_block = models.BigIntegerField()
    transactions = models.BigIntegerField()
    gas_used = models.DecimalField(max_digits=30, decimal_places=0)
    senders = models.BigIntegerField()
    participants = models.BigIntegerField()
    covered_s = models.IntegerField(help_text="Seconds of the day of which everything is known.")
    senders_sketch = models.BinaryField()
    participants_sketch = models.BinaryField()
    sealed_at = models.DateTimeField()

    class Meta:
        db_table = "stats_activity_day"
        ordering: ClassVar[list[str]] = ["-day", "chain"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["chain", "day"], name="activity_day_once")
        ]

    def __str__(self) -> str:
        return f"{self.chain} on {self.day}"


class ActivityRecord(models.Model):
    """Known blocks of one run of 1,200, counted from block 0; `blocks` of them are known."""

    chain = models.TextField()
    number = models.BigIntegerField(help_text="First block of the whole run / 1,200.")
    first_block = models.BigIntegerField()
    last_block = models.BigIntegerField()
    blocks = models.IntegerField()
    start_time = models.DateTimeField()
    end_time = models.DateTimeField(db_index=True)
    transactions = models.BigIntegerField()
    senders = models.BigIntegerField()
    participants = models.BigIntegerField()

    class Meta:
        db_table = "stats_activity_record"
        ordering: ClassVar[list[str]] = ["chain", "number"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["chain", "number"], name="activity_record_once")
        ]

    def __str__(self) -> str:
        return f"{self.chain}, blocks {self.first_block} to {self.last_block}"


class ActivityCursor(models.Model):
    """How far a chain was scanned, what went wrong, and the figures of the last 24 hours.

    `checked_at` is when the chain's head was last seen with all blocks up to it scanned. `version`
    grows with each change of a leaf, `figures_version` with each change of the figures, which are
    those of the leaves' version `figures_of`.
    """

    chain = models.TextField(primary_key=True)
    last_block = models.BigIntegerField(null=True)
    last_hash = models.BinaryField(null=True)
    last_time = models.DateTimeField(null=True)
    final_block = models.BigIntegerField(null=True)
    checked_at = models.DateTimeField(null=True)
    version = models.BigIntegerField(default=0)
    running_since = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(null=True, help_text="The last run that got through.")
    errors = models.JSONField(default=dict, help_text="Failed runs by what went wrong.")
    last_error = models.TextField(blank=True)
    last_error_at = models.DateTimeField(null=True)
    reorgs = models.BigIntegerField(default=0)
    deepest_reorg = models.BigIntegerField(default=0)
    last_reorg_depth = models.BigIntegerField(default=0)
    last_reorg_at = models.DateTimeField(null=True)
    astray_since = models.DateTimeField(
        null=True, help_text="Since when the providers deny blocks that were final."
    )
    figures = models.JSONField(null=True)
    figures_of = models.BigIntegerField(default=-1)
    figures_version = models.BigIntegerField(default=0)
    figures_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "stats_activity_cursor"
        ordering: ClassVar[list[str]] = ["chain"]
        verbose_name = "activity scan"

    def __str__(self) -> str:
        return self.chain
