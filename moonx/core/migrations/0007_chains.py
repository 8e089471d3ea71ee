import django.core.validators
from django.db import migrations, models

import moonx.core.chains.models

MULTICALL = "0xcA11bde05977b3631167028862bE2a173976CA11"
COLUMNS = (
    *("slug", "chain_id", "name", "native_asset", "block_time_ms", "has_steady_blocks"),
    *("confirmations", "has_finalized_tag", "finality_depth", "finality_ms", "llama_name"),
    "multicall_block",
)
# Finality: Ethereum and what settles on it when its epochs are final; BSC and Polygon by votes on
# the next blocks; REI when a block is made, so its depth is a margin of our own. The local node
# calls final what lies 64 blocks behind its head.
CHAINS = (
    ("ethereum", 1, "Ethereum", "ETH", 12_000, True, 20, True, 96, 960_000, "Ethereum", 14353601),
    ("optimism", 10, "OP Mainnet", "ETH", 2_000, True, 10, True, 600, 1_080_000, "OP Mainnet", 4286263),
    ("bsc", 56, "BNB Smart Chain", "BNB", 450, True, 15, True, 15, 3_000, "BSC", 15921452),
    ("polygon", 137, "Polygon PoS", "POL", 2_000, True, 32, True, 256, 8_000, "Polygon", 25770160),
    ("base", 8453, "Base", "ETH", 2_000, True, 10, True, 600, 1_080_000, "Base", 5022),
    ("local", 31337, "Local node", "ETH", 2_000, True, 3, True, 64, 128_000, "", None),
    ("arbitrum", 42161, "Arbitrum One", "ETH", 250, False, 20, True, 4_560, 1_080_000, "Arbitrum", 7654707),
    ("rei", 47805, "REI Network", "REI", 3_000, True, 3, False, 3, 9_000, "REI", None),
)


def add_chains(apps, _schema_editor):
    """The chains that are known from the start; what operators change afterwards stays."""
    model = apps.get_model("core", "Chain")
    for values in CHAINS:
        chain = model(**dict(zip(COLUMNS, values, strict=True)), native_decimals=18)
        chain.multicall_address = MULTICALL if chain.multicall_block is not None else ""
        chain.save()


class Migration(migrations.Migration):
    dependencies = [("core", "0006_resilience")]
    operations = [
        migrations.CreateModel(
            name="Chain",
            fields=[
                (
                    "slug",
                    models.TextField(
                        primary_key=True,
                        serialize=False,
                        validators=[moonx.core.chains.models.SLUG],
                    ),
                ),
                (
                    "chain_id",
                    models.BigIntegerField(
                        unique=True, validators=[django.core.validators.MinValueValidator(1)]
                    ),
                ),
                ("name", models.TextField()),
                (
                    "native_asset",
                    models.TextField(help_text="Symbol of the coin that pays for gas."),
                ),
                (
                    "native_decimals",
                    models.PositiveSmallIntegerField(
                        default=18, validators=[django.core.validators.MaxValueValidator(36)]
                    ),
                ),
                (
                    "block_time_ms",
                    models.PositiveIntegerField(
                        help_text="Usual time from block to block; verdicts measure against it.",
                        validators=[django.core.validators.MinValueValidator(50)],
                    ),
                ),
                (
                    "has_steady_blocks",
                    models.BooleanField(
                        default=True,
                        help_text="Off where blocks come by load or chance rather than by a clock.",
                    ),
                ),
                (
                    "confirmations",
                    models.PositiveIntegerField(
                        help_text="Blocks, its own included, until what stands in a block counts.",
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "has_finalized_tag",
                    models.BooleanField(
                        default=True,
                        help_text="Whether nodes answer for the block named finalized.",
                    ),
                ),
                (
                    "finality_depth",
                    models.PositiveIntegerField(
                        help_text="Blocks behind the head that count as final where no node tells it."
                    ),
                ),
                (
                    "finality_ms",
                    models.PositiveIntegerField(help_text="Usual age of the newest final block."),
                ),
                (
                    "llama_name",
                    models.TextField(
                        blank=True,
                        help_text="The chain's name at DefiLlama; empty where it has none.",
                    ),
                ),
                (
                    "multicall_address",
                    models.TextField(blank=True, validators=[moonx.core.chains.models.ADDRESS]),
                ),
                (
                    "multicall_block",
                    models.BigIntegerField(
                        null=True, blank=True, help_text="First block that has Multicall3."
                    ),
                ),
                (
                    "is_enabled",
                    models.BooleanField(
                        default=True,
                        help_text="Off: nothing is asked of it, whatever URLs are set.",
                    ),
                ),
            ],
            options={
                "db_table": "core_chain",
                "ordering": ["chain_id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            chain_id__gt=0, block_time_ms__gte=50, confirmations__gte=1
                        ),
                        name="chain_figures_make_sense",
                    )
                ],
            },
        ),
        migrations.RunPython(add_chains, migrations.RunPython.noop),
    ]
