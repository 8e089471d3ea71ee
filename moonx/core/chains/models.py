"""Chains as rows: what is true of each, and whether operators want it watched."""

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

SLUG = RegexValidator(r"^[a-z][a-z0-9]{1,19}$", "Use 2 to 20 small letters and digits.")
ADDRESS = RegexValidator(r"^(0x[0-9a-fA-F]{40})?$", "Use 0x and 40 hexadecimal digits.")


class Chain(models.Model):
    """One chain of the EVM kind. Facts that drift, such as its block time, are edited here."""

    slug = models.TextField(primary_key=True, validators=[SLUG])
    chain_id = models.BigIntegerField(unique=True, validators=[MinValueValidator(1)])
    name = models.TextField()
    native_asset = models.TextField(help_text="Symbol of the coin that pays for gas.")
    native_decimals = models.PositiveSmallIntegerField(
        default=18, validators=[MaxValueValidator(36)]
    )
    block_time_ms = models.PositiveIntegerField(
        validators=[MinValueValidator(50)],
        help_text="Usual time from block to block; verdicts measure against it.",
    )
    has_steady_blocks = models.BooleanField(
        default=True, help_text="Off where blocks come by load or chance rather than by a clock."
    )
    confirmations = models.PositiveIntegerField(
        validators=[MinValueValidator(1)],
        help_text="Blocks, its own included, until what stands in a block counts.",
    )
    has_finalized_tag = models.BooleanField(
        default=True, help_text="Whether nodes answer for the block named finalized."
    )
    finality_depth = models.PositiveIntegerField(
        help_text="Blocks behind the head that count as final where no node tells it."
    )
    finality_ms = models.PositiveIntegerField(help_text="Usual age of the newest final block.")
    llama_name = models.TextField(
        blank=True, help_text="The chain's name at DefiLlama; empty where it has none."
    )
    multicall_address = models.TextField(blank=True, validators=[ADDRESS])
    multicall_block = models.BigIntegerField(
        null=True, blank=True, help_text="First block that has Multicall3."
    )
    is_enabled = models.BooleanField(
        default=True, help_text="Off: nothing is asked of it, whatever URLs are set."
    )

    class Meta:
        db_table = "core_chain"
        ordering: ClassVar[list[str]] = ["chain_id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(chain_id__gt=0, block_time_ms__gte=50, confirmations__gte=1),
                name="chain_figures_make_sense",
            )
        ]

    def __str__(self) -> str:
        return self.name
