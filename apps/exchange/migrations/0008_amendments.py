import django.db.models.deletion
from django.db import migrations, models


# What was done to a trade is never rewritten.
KEPT = """
ALTER TABLE exchange_amendment ALTER COLUMN created_at SET DEFAULT clock_timestamp();
CREATE TRIGGER exchange_amendment_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON exchange_amendment
  FOR EACH STATEMENT EXECUTE FUNCTION exchange_append_only();
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'moonx_app') THEN
    REVOKE UPDATE, DELETE, TRUNCATE ON exchange_amendment FROM moonx_app;
  END IF;
END $$;
"""

UNKEPT = "DROP TRIGGER exchange_amendment_is_kept ON exchange_amendment;"

# A ticker names the transaction that computed it: a row that another one wrote is not computed.
WRITER = """
ALTER TABLE exchange_ticker ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
UPDATE exchange_ticker SET xid = pg_current_xact_id();
"""
UNWRITTEN = "ALTER TABLE exchange_ticker DROP COLUMN xid;"


class Migration(migrations.Migration):
    dependencies = [
        ("exchange", "0007_clean_order_indexes"),
    ]

    operations = [
        migrations.AlterField(
            model_name="journal",
            name="kind",
            field=models.TextField(
                choices=[
                    ("trade", "Trade"),
                    ("deposit", "Deposit"),
                    ("reversal", "Reversal"),
                    ("correction", "Correction"),
                    ("adjustment", "Adjustment"),
                    ("demo", "Demo"),
                ]
            ),
        ),
        migrations.CreateModel(
            name="CandleDigest",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "market_id",
                        "open_time",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("open_time", models.DateTimeField()),
                ("digest", models.BinaryField()),
                (
                    "market",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="exchange.market",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="EmptiedCandle",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "market_id",
                        "interval",
                        "open_time",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("interval", models.TextField()),
                ("open_time", models.DateTimeField()),
                ("revision", models.IntegerField()),
                (
                    "market",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="exchange.market",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Amendment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("seq", models.BigIntegerField()),
                (
                    "epoch",
                    models.IntegerField(help_text="1 for the first change of a trade, and so on."),
                ),
                (
                    "kind",
                    models.TextField(choices=[("bust", "Bust"), ("correction", "Correction")]),
                ),
                ("first_id", models.BigIntegerField()),
                ("last_id", models.BigIntegerField()),
                ("price", models.DecimalField(decimal_places=18, max_digits=78)),
                ("quantity", models.DecimalField(decimal_places=18, max_digits=78)),
                ("quote_quantity", models.DecimalField(decimal_places=18, max_digits=78)),
                ("is_buyer_maker", models.BooleanField()),
                ("executed_at", models.DateTimeField()),
                (
                    "source",
                    models.TextField(
                        choices=[
                            ("matched", "Matched"),
                            ("imported", "Imported"),
                            ("replayed", "Replayed"),
                        ]
                    ),
                ),
                (
                    "new_price",
                    models.DecimalField(blank=True, decimal_places=18, max_digits=78, null=True),
                ),
                (
                    "new_quantity",
                    models.DecimalField(blank=True, decimal_places=18, max_digits=78, null=True),
                ),
                (
                    "new_quote_quantity",
                    models.DecimalField(blank=True, decimal_places=18, max_digits=78, null=True),
                ),
                (
                    "taker_fee",
                    models.DecimalField(blank=True, decimal_places=18, max_digits=78, null=True),
                ),
                (
                    "maker_fee",
                    models.DecimalField(blank=True, decimal_places=18, max_digits=78, null=True),
                ),
                ("reason", models.TextField()),
                ("by", models.TextField(help_text="Who asked for it.")),
                ("correlation_id", models.TextField(blank=True)),
                ("created_at", models.DateTimeField()),
                (
                    "market",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="amendments",
                        to="exchange.market",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("market", "seq", "epoch"), name="trade_is_amended_once_an_epoch"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "bust"), ("new_price", None), ("new_quantity", None)),
                            models.Q(
                                ("kind", "correction"),
                                ("new_price__gt", 0),
                                ("new_quantity__gt", 0),
                            ),
                            _connector="OR",
                        ),
                        name="amendment_says_what_stands",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Finding",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "check_name",
                    models.TextField(
                        choices=[
                            ("trades", "Trades"),
                            ("bars", "Bars"),
                            ("parents", "Parents"),
                            ("tickers", "Tickers"),
                        ],
                        verbose_name="check",
                    ),
                ),
                ("interval", models.TextField()),
                ("at", models.DateTimeField()),
                ("field", models.TextField()),
                ("stored", models.TextField()),
                ("expected", models.TextField()),
                ("times", models.IntegerField(default=1, help_text="How many looks found it.")),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                (
                    "market",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="exchange.market",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("resolved_at", None)),
                        fields=["check_name", "market", "at"],
                        name="finding_open",
                    )
                ],
            },
        ),
        migrations.RunSQL(KEPT, UNKEPT),
        migrations.RunSQL(WRITER, UNWRITTEN),
    ]
