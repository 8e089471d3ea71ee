from django.db import migrations

# Days are prepared ahead, so waiting for a reader of the events (a dump, say) is never worth it:
# after a second the caller is told and tries again later. pg_temp comes last, or a temporary table
# of the caller could stand in for a catalogue that this function, with its owner's rights, trusts.
ROLL = """
CREATE OR REPLACE FUNCTION core_roll_events(keep_days int, ahead_days int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s' AS $$
DECLARE
  today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
  dropped int := 0;
  part record;
  day date;
BEGIN
  IF keep_days < 1 OR ahead_days NOT BETWEEN 1 AND 31 THEN
    RAISE EXCEPTION 'core_roll_events(%, %): keep at least 1 day, 1 to 31 ahead', keep_days, ahead_days;
  END IF;
  PERFORM pg_catalog.pg_advisory_xact_lock(7, 0);
  FOR day IN SELECT today + i FROM pg_catalog.generate_series(0, ahead_days) AS i LOOP
    IF pg_catalog.to_regclass('public.core_event_' || pg_catalog.to_char(day, 'YYYYMMDD')) IS NULL THEN
      EXECUTE format(
        'CREATE TABLE public.%I PARTITION OF public.core_event FOR VALUES FROM (%L) TO (%L)',
        'core_event_' || pg_catalog.to_char(day, 'YYYYMMDD'),
        day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
    END IF;
  END LOOP;
  FOR part IN
    SELECT c.relname FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'public.core_event'::pg_catalog.regclass
      AND c.relname < 'core_event_' || pg_catalog.to_char(today - keep_days, 'YYYYMMDD')
  LOOP
    EXECUTE format('DROP TABLE public.%I', part.relname);
    dropped := dropped + 1;
  END LOOP;
  RETURN dropped;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0002_events")]
    operations = [migrations.RunSQL(ROLL, migrations.RunSQL.noop)]
