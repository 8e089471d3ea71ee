from django.db import migrations, models

# As before, and whoever resets the watermarks also forgets when they were last moved: they were
# not moved by closing anything.
RESET = """
CREATE OR REPLACE FUNCTION exchange_reset_watermarks() RETURNS void LANGUAGE sql AS $$
  INSERT INTO exchange_candlewatermark (interval, closed_until)
  SELECT v.interval, CASE v.interval
      WHEN '1w' THEN date_bin('7 days', clock_timestamp(), '1970-01-05T00:00Z')
      WHEN '1M' THEN date_trunc('month', clock_timestamp(), 'UTC')
      ELSE date_bin(v.length, clock_timestamp(), '1970-01-01T00:00Z') END
  FROM (VALUES ('1m', interval '1 minute'), ('5m', '5 minutes'), ('15m', '15 minutes'),
    ('30m', '30 minutes'), ('1h', '1 hour'), ('4h', '4 hours'), ('1d', '1 day'),
    ('1w', NULL), ('1M', NULL)) AS v(interval, length)
  ON CONFLICT (interval) DO UPDATE SET closed_until = excluded.closed_until{forget}
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("exchange", "0008_amendments")]
    operations = [
        # Null until the interval closes next: nine rows, of which nobody knows when they moved.
        migrations.AddField(
            model_name="candlewatermark",
            name="closed_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.RunSQL(RESET.format(forget=", closed_at = NULL"), RESET.format(forget="")),
    ]
