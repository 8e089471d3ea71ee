"""Who trades: fee tiers, freezes, API keys."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from apps.exchange.models.fields import fee_bps


class FeeTier(models.Model):
    """What trading costs, in basis points of the quote amount; an order keeps the tier's fees of
    the moment at which it was placed."""

    name = models.TextField(unique=True)
    maker_fee_bps = fee_bps()
    taker_fee_bps = fee_bps()
    is_default = models.BooleanField(default=False, help_text="Who has no tier has this one.")

    class Meta:
        ordering: ClassVar[list[str]] = ["taker_fee_bps", "name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(
                    maker_fee_bps__range=(0, 1_000), taker_fee_bps__range=(0, 1_000)
                ),
                name="fee_is_at_most_a_tenth",
            ),
            models.UniqueConstraint(
                fields=["is_default"],
                condition=models.Q(is_default=True),
                name="one_fee_tier_is_the_default",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Trader(models.Model):
    """What the exchange knows of a user. A frozen one places no orders and is debited nothing."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, primary_key=True, related_name="trader"
    )
    fee_tier = models.ForeignKey(FeeTier, models.PROTECT, null=True, blank=True, related_name="+")
    frozen_at = models.DateTimeField(null=True, blank=True)
    freeze_reason = models.TextField(blank=True)

    def __str__(self) -> str:
        return str(self.user)


class ApiKey(models.Model):
    """A key that signs requests. Its secret is stored sealed and shown once."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="api_keys")
    label = models.TextField()
    key = models.TextField(unique=True)
    sealed_secret = models.BinaryField()
    may_trade = models.BooleanField(default=True)
    addresses = models.JSONField(
        default=list, blank=True, help_text="Networks it may be used from; none = anywhere."
    )
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]

    def __str__(self) -> str:
        return f"{self.label} ({self.key[:8]}…)"
