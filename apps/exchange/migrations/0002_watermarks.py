from django.db import migrations

# Nothing is open before the first trade: every interval starts out closed up to the present.
RESET = """
CREATE FUNCTION exchange_reset_watermarks() RETURNS void LANGUAGE sql AS $$
  INSERT INTO exchange_candlewatermark (interval, closed_until)
  SELECT v.interval, CASE v.interval
      WHEN '1w' THEN date_bin('7 days', clock_timestamp(), '1970-01-05T00:00Z')
      WHEN '1M' THEN date_trunc('month', clock_timestamp(), 'UTC')
      ELSE date_bin(v.length, clock_timestamp(), '1970-01-01T00:00Z') END
  FROM (VALUES ('1m', interval '1 minute'), ('5m', '5 minutes'), ('15m', '15 minutes'),
    ('30m', '30 minutes'), ('1h', '1 hour'), ('4h', '4 hours'), ('1d', '1 day'),
    ('1w', NULL), ('1M', NULL)) AS v(interval, length)
  ON CONFLICT (interval) DO UPDATE SET closed_until = excluded.closed_until
$$;
REVOKE ALL ON FUNCTION exchange_reset_watermarks() FROM PUBLIC;
SELECT exchange_reset_watermarks();
"""

# A month of 1m bars is 43,200 rows a market whose volumes change with each trade: room to update
# in place spares the indexes.
STORAGE = """
ALTER TABLE exchange_candle SET (fillfactor = 80);
ALTER TABLE exchange_ticker SET (fillfactor = 60);
"""


class Migration(migrations.Migration):
    dependencies = [("exchange", "0001_initial")]
    operations = [
        migrations.RunSQL(RESET, "DROP FUNCTION exchange_reset_watermarks();"),
        migrations.RunSQL(STORAGE, migrations.RunSQL.noop),
    ]
