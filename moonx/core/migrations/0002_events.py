from django.db import migrations, models

OUTBOX = """
-- CACHE 1: ids are handed out one by one, so their order is the order of insertion under a lock.
CREATE SEQUENCE core_event_id_seq AS bigint CACHE 1;
CREATE TABLE core_outbox (
  id bigint PRIMARY KEY DEFAULT nextval('core_event_id_seq'),
  name text NOT NULL,
  key text NOT NULL,
  topics jsonb NOT NULL,
  payload jsonb NOT NULL,
  correlation_id text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
"""

EVENT = """
CREATE TABLE core_event (
  position bigint NOT NULL,
  id bigint NOT NULL,
  name text NOT NULL,
  key text NOT NULL,
  topics jsonb NOT NULL,
  payload jsonb NOT NULL,
  correlation_id text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL,
  relayed_at timestamptz NOT NULL,
  PRIMARY KEY (position, relayed_at)
) PARTITION BY RANGE (relayed_at);
"""

# The running role has no DDL: it asks the owner, through this function, for the days it needs.
ROLL = """
CREATE FUNCTION core_roll_events(keep_days int, ahead_days int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
  dropped int := 0;
  part record;
  day date;
BEGIN
  IF keep_days < 1 OR ahead_days NOT BETWEEN 1 AND 31 THEN
    RAISE EXCEPTION 'core_roll_events(%, %): keep at least 1 day, 1 to 31 ahead', keep_days, ahead_days;
  END IF;
  PERFORM pg_advisory_xact_lock(7, 0);
  FOR day IN SELECT today + i FROM generate_series(0, ahead_days) AS i LOOP
    EXECUTE format(
      'CREATE TABLE IF NOT EXISTS public.%I PARTITION OF public.core_event FOR VALUES FROM (%L) TO (%L)',
      'core_event_' || to_char(day, 'YYYYMMDD'), day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
  END LOOP;
  FOR part IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'public.core_event'::regclass
      AND c.relname < 'core_event_' || to_char(today - keep_days, 'YYYYMMDD')
  LOOP
    EXECUTE format('DROP TABLE public.%I', part.relname);
    dropped := dropped + 1;
  END LOOP;
  RETURN dropped;
END $$;
REVOKE ALL ON FUNCTION core_roll_events(int, int) FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'moonx_app') THEN
    GRANT EXECUTE ON FUNCTION core_roll_events(int, int) TO moonx_app;
  END IF;
END $$;
SELECT core_roll_events(7, 3);
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0001_roles")]
    operations = [
        migrations.RunSQL(OUTBOX, "DROP TABLE core_outbox; DROP SEQUENCE core_event_id_seq;"),
        migrations.RunSQL(EVENT, "DROP TABLE core_event;"),
        migrations.RunSQL(ROLL, "DROP FUNCTION core_roll_events(int, int);"),
        migrations.CreateModel(
            name="OutboxEvent",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("name", models.TextField()),
                ("key", models.TextField()),
                ("topics", models.JSONField()),
                ("payload", models.JSONField()),
                ("correlation_id", models.TextField(blank=True)),
                ("created_at", models.DateTimeField()),
            ],
            options={"db_table": "core_outbox", "managed": False},
        ),
        migrations.CreateModel(
            name="PublishedEvent",
            fields=[
                ("position", models.BigIntegerField(primary_key=True, serialize=False)),
                ("id", models.BigIntegerField()),
                ("name", models.TextField()),
                ("key", models.TextField()),
                ("topics", models.JSONField()),
                ("payload", models.JSONField()),
                ("correlation_id", models.TextField(blank=True)),
                ("created_at", models.DateTimeField()),
                ("relayed_at", models.DateTimeField()),
            ],
            options={
                "db_table": "core_event",
                "ordering": ["-position"],
                "managed": False,
                "verbose_name": "event",
            },
        ),
        migrations.CreateModel(
            name="Cursor",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("position", models.BigIntegerField(default=0)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
        ),
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                ("instance", models.TextField(primary_key=True, serialize=False)),
                ("role", models.TextField(db_index=True)),
                ("host", models.TextField()),
                ("pid", models.IntegerField()),
                ("started_at", models.DateTimeField()),
                ("beat_at", models.DateTimeField()),
                ("stats", models.JSONField(default=dict)),
            ],
        ),
    ]
