"""What was seen of chains: headers, samples, hours, reorganisations, and how each stands."""

from decimal import Decimal
from typing import ClassVar

from django.db import models

from apps.stats.vocabulary import Verdict

VERDICTS = [(one.value, one.value) for one in Verdict]


def raw_amount() -> "models.DecimalField[Decimal, Decimal]":
    """An amount as chains count it, in whole units of the smallest kind."""
    return models.DecimalField(max_digits=78, decimal_places=0)


def optional_raw_amount() -> "models.DecimalField[Decimal | None, Decimal | None]":
    """As `raw_amount`, null where it is unknown."""
    return models.DecimalField(max_digits=78, decimal_places=0, null=True, blank=True)


def usd() -> "models.DecimalField[Decimal | None, Decimal | None]":
    """US dollars, to the cent; null where nobody tells it."""
    return models.DecimalField(max_digits=30, decimal_places=2, null=True, blank=True)


class ChainWatch(models.Model):
    """What we know of one chain between two looks at it. Its lock is held while a look is kept."""

    chain = models.TextField(primary_key=True)
    claimed_until = models.DateTimeField(
        null=True, blank=True, help_text="Who looks at the chain now will be done by then."
    )
    looked_at = models.DateTimeField(null=True, blank=True, help_text="The last look, of any end.")
    sampled_at = models.DateTimeField(
        null=True, blank=True, help_text="The last look at which a provider answered."
    )
    tip = models.JSONField(
        default=dict, blank=True, help_text="The head that providers agreed on, and since when."
    )
    head_seen_at = models.DateTimeField(
        null=True, blank=True, help_text="When the last header that is kept was first seen."
    )
    standing = models.JSONField(default=dict, blank=True, help_text="The settled verdict.")
    finalized = models.BigIntegerField(null=True, blank=True, help_text="The last final block.")
    finality_lag_ms = models.BigIntegerField(null=True, blank=True)
    # From when to when nobody looked: what stood still in between may have been stopped with us.
    unwatched_from = models.DateTimeField(null=True, blank=True)
    unwatched_to = models.DateTimeField(null=True, blank=True)
    is_alarmed = models.BooleanField(default=False, help_text="Operators were told of trouble.")

    class Meta:
        ordering: ClassVar[list[str]] = ["chain"]
        verbose_name_plural = "chain watches"

    def __str__(self) -> str:
        return self.chain


class ChainHeader(models.Model):
    """One of a chain's last blocks, as it stands on the chain that was last seen."""

    pk = models.CompositePrimaryKey("chain", "number")
    chain = models.TextField()
    number = models.BigIntegerField()
    hash = models.BinaryField()
    parent_hash = models.BinaryField()
    time_s = models.BigIntegerField()
    gas_used = models.BigIntegerField()
    gas_limit = models.BigIntegerField()
    base_fee_wei = optional_raw_amount()
    transaction_count = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.chain} {self.number}"


class ChainReorg(models.Model):
    """Blocks that had been seen and were replaced by others."""

    chain = models.TextField()
    seen_at = models.DateTimeField()
    depth = models.IntegerField(help_text="How many of the blocks that we had seen are gone.")
    first_number = models.BigIntegerField()
    replaced_hash = models.BinaryField()
    is_past_finality = models.BooleanField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["chain", "seen_at"], name="chain_reorg_by_time")
        ]

    def __str__(self) -> str:
        return f"{self.chain} {self.depth} at {self.first_number}"


class ChainVolume(models.Model):
    """What is traded on a chain and locked in it, by DefiLlama."""

    chain = models.TextField(primary_key=True)
    volume24h_usd = usd()
    tvl_usd = usd()
    as_of = models.DateTimeField()
    simulated = models.BooleanField()

    def __str__(self) -> str:
        return self.chain


class ProviderAnswer(models.Model):
    """One call for a chain's head to one provider, and the class of its fault; "" for none."""

    chain = models.TextField()
    provider = models.TextField()
    at = models.DateTimeField()
    latency_ms = models.IntegerField()
    fault = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["chain", "at"], name="provider_answer_by_time"),
            models.Index(fields=["at"], name="provider_answer_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.chain} {self.provider} {self.at:%Y-%m-%d %H:%M:%S}"


class ChainSlice(models.Model):
    """What was seen of a chain in a span of time; slices of one chain add up.

    Sums and counts are of the blocks that became known in the span, `block_times` counts their
    times in buckets of 1 %. Lags and ages are the largest.
    """

    chain = models.TextField()
    verdict = models.TextField(choices=VERDICTS, help_text="The worst that was shown.")
    samples = models.IntegerField()
    healthy = models.IntegerField(help_text="Samples at which the chain was shown healthy.")
    blocks = models.BigIntegerField()
    block_times = models.JSONField(default=dict)
    elapsed_ms = models.BigIntegerField()
    transactions = models.BigIntegerField()
    gas_used = raw_amount()
    gas_limit = raw_amount()
    base_fee_wei = optional_raw_amount()
    head = models.BigIntegerField(null=True)
    head_age_ms = models.BigIntegerField(null=True)
    finality_lag_ms = models.BigIntegerField(null=True)
    latency_ms = models.IntegerField(null=True, help_text="The providers' median.")
    reorgs = models.IntegerField()
    reorg_depth = models.IntegerField()
    volume24h_usd = usd()
    tvl_usd = usd()
    simulated = models.BooleanField()

    class Meta:
        abstract = True


class ChainSample(ChainSlice):
    """One look at a chain; kept for 7 days. The figures are those that were told of the last 300
    blocks at that moment."""

    at = models.DateTimeField()
    p50_ms = models.IntegerField(null=True)
    p95_ms = models.IntegerField(null=True)
    p99_ms = models.IntegerField(null=True)
    n = models.IntegerField()
    tps = models.DecimalField(max_digits=20, decimal_places=2, null=True)
    gas_used_ratio = models.DecimalField(max_digits=8, decimal_places=4, null=True)
    reorgs1h = models.IntegerField()
    reorgs1h_depth = models.IntegerField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-at"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["chain", "at"], name="chain_sample_is_unique")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["at"], name="chain_sample_by_age")
        ]

    def __str__(self) -> str:
        return f"{self.chain} {self.at:%Y-%m-%d %H:%M:%S}"


class ChainHour(ChainSlice):
    """An hour of a chain, folded from its samples; kept for 90 days."""

    hour = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-hour"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["chain", "hour"], name="chain_hour_is_unique")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["hour"], name="chain_hour_by_age")
        ]

    def __str__(self) -> str:
        return f"{self.chain} {self.hour:%Y-%m-%d %H:00}"
