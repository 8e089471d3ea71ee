from django.db import migrations, models

# Hashes do not compress, so nobody tries; sets are read whole.
TABLES = """
CREATE TABLE stats_activity_leaf (
  chain text NOT NULL,
  bucket_start timestamptz NOT NULL,
  state text NOT NULL CHECK (state IN ('provisional', 'final')),
  first_block bigint NOT NULL,
  last_block bigint NOT NULL CHECK (last_block >= first_block),
  parent_hash bytea NOT NULL,
  last_hash bytea NOT NULL,
  covered_from timestamptz NOT NULL,
  last_time timestamptz NOT NULL CHECK (last_time >= covered_from),
  transactions bigint NOT NULL,
  gas_used bigint NOT NULL,
  digest bytea NOT NULL,
  blocks bytea NOT NULL,
  senders bytea NOT NULL,
  recipients bytea NOT NULL,
  PRIMARY KEY (chain, bucket_start)
) PARTITION BY RANGE (bucket_start);
CREATE INDEX stats_activity_leaf_blocks ON stats_activity_leaf (chain, last_block);
CREATE INDEX stats_activity_leaf_provisional ON stats_activity_leaf (chain, bucket_start)
  WHERE state = 'provisional';
ALTER TABLE stats_activity_leaf
  ALTER blocks SET STORAGE EXTERNAL,
  ALTER senders SET STORAGE EXTERNAL,
  ALTER recipients SET STORAGE EXTERNAL;
CREATE TABLE stats_activity_rollup (
  chain text NOT NULL,
  span text NOT NULL CHECK (span IN ('hour', 'day')),
  start timestamptz NOT NULL,
  stop timestamptz NOT NULL CHECK (stop > start),
  first_block bigint NOT NULL,
  last_block bigint NOT NULL CHECK (last_block >= first_block),
  transactions bigint NOT NULL,
  gas_used bigint NOT NULL,
  sender_count bigint NOT NULL,
  participant_count bigint NOT NULL,
  senders bytea NOT NULL,
  recipients bytea NOT NULL,
  PRIMARY KEY (chain, span, start)
) PARTITION BY RANGE (start);
ALTER TABLE stats_activity_rollup
  ALTER senders SET STORAGE EXTERNAL,
  ALTER recipients SET STORAGE EXTERNAL;
"""

# The running role has no DDL: it asks the owner, through this function, for the days it needs, also
# those behind, which are filled later. As with the days of events, waiting for a reader is never
# worth it, and pg_temp comes last, so that no table of the caller stands in for a catalogue.
ROLL = """
CREATE FUNCTION stats_roll_activity(keep_days int, ahead_days int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s' AS $$
DECLARE
  today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
  dropped int := 0;
  parent text;
  part record;
  day date;
BEGIN
  IF keep_days NOT BETWEEN 1 AND 366 OR ahead_days NOT BETWEEN 1 AND 31 THEN
    RAISE EXCEPTION 'stats_roll_activity(%, %): keep 1 to 366 days, 1 to 31 ahead',
      keep_days, ahead_days;
  END IF;
  PERFORM pg_catalog.pg_advisory_xact_lock(9, 0);
  FOREACH parent IN ARRAY ARRAY['stats_activity_leaf', 'stats_activity_rollup'] LOOP
    FOR day IN
      SELECT today + i FROM pg_catalog.generate_series(-keep_days, ahead_days) AS i
    LOOP
      IF pg_catalog.to_regclass(
        'public.' || parent || '_' || pg_catalog.to_char(day, 'YYYYMMDD')) IS NULL
      THEN
        EXECUTE format(
          'CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)',
          parent || '_' || pg_catalog.to_char(day, 'YYYYMMDD'), parent,
          day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
      END IF;
    END LOOP;
    FOR part IN
      SELECT c.relname FROM pg_catalog.pg_inherits i
      JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = ('public.' || parent)::pg_catalog.regclass
        AND c.relname < parent || '_' || pg_catalog.to_char(today - keep_days, 'YYYYMMDD')
    LOOP
      EXECUTE format('DROP TABLE public.%I', part.relname);
      dropped := dropped + 1;
    END LOOP;
  END LOOP;
  RETURN dropped;
END $$;
REVOKE ALL ON FUNCTION stats_roll_activity(int, int) FROM PUBLIC;
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'moonx_app') THEN
    GRANT EXECUTE ON FUNCTION stats_roll_activity(int, int) TO moonx_app;
  END IF;
END $$;
SELECT stats_roll_activity(7, 3);
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [("core", "0001_roles"), ("stats", "0001_chains")]

    operations = [
        migrations.RunSQL(
            TABLES, "DROP TABLE stats_activity_rollup; DROP TABLE stats_activity_leaf;"
        ),
        migrations.RunSQL(ROLL, "DROP FUNCTION stats_roll_activity(int, int);"),
        migrations.CreateModel(
            name='ActivityLeaf',
            fields=[
                ('pk', models.CompositePrimaryKey('chain', 'bucket_start', blank=True, editable=False, primary_key=True, serialize=False)),
                ('chain', models.TextField()),
                ('bucket_start', models.DateTimeField()),
                ('state', models.TextField(choices=[('provisional', 'Provisional'), ('final', 'Final')])),
                ('first_block', models.BigIntegerField()),
                ('last_block', models.BigIntegerField()),
                ('parent_hash', models.BinaryField()),
                ('last_hash', models.BinaryField()),
                ('covered_from', models.DateTimeField()),
                ('last_time', models.DateTimeField()),
                ('transactions', models.BigIntegerField()),
                ('gas_used', models.BigIntegerField()),
                ('digest', models.BinaryField()),
                ('blocks', models.BinaryField()),
                ('senders', models.BinaryField()),
                ('recipients', models.BinaryField()),
            ],
            options={
                'db_table': 'stats_activity_leaf',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='ActivityRollup',
            fields=[
                ('pk', models.CompositePrimaryKey('chain', 'span', 'start', blank=True, editable=False, primary_key=True, serialize=False)),
                ('chain', models.TextField()),
                ('span', models.TextField(choices=[('hour', 'Hour'), ('day', 'Day')])),
                ('start', models.DateTimeField()),
                ('stop', models.DateTimeField()),
                ('first_block', models.BigIntegerField()),
                ('last_block', models.BigIntegerField()),
                ('transactions', models.BigIntegerField()),
                ('gas_used', models.BigIntegerField()),
                ('sender_count', models.BigIntegerField()),
                ('participant_count', models.BigIntegerField()),
                ('senders', models.BinaryField()),
                ('recipients', models.BinaryField()),
            ],
            options={
                'db_table': 'stats_activity_rollup',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='ActivityCursor',
            fields=[
                ('chain', models.TextField(primary_key=True, serialize=False)),
                ('last_block', models.BigIntegerField(null=True)),
                ('last_hash', models.BinaryField(null=True)),
                ('last_time', models.DateTimeField(null=True)),
                ('final_block', models.BigIntegerField(null=True)),
                ('checked_at', models.DateTimeField(null=True)),
                ('version', models.BigIntegerField(default=0)),
                ('running_since', models.DateTimeField(null=True)),
                ('updated_at', models.DateTimeField(help_text='The last run that got through.', null=True)),
                ('errors', models.JSONField(default=dict, help_text='Failed runs by what went wrong.')),
                ('last_error', models.TextField(blank=True)),
                ('last_error_at', models.DateTimeField(null=True)),
                ('reorgs', models.BigIntegerField(default=0)),
                ('deepest_reorg', models.BigIntegerField(default=0)),
                ('last_reorg_depth', models.BigIntegerField(default=0)),
                ('last_reorg_at', models.DateTimeField(null=True)),
                ('astray_since', models.DateTimeField(help_text='Since when the providers deny blocks that were final.', null=True)),
                ('figures', models.JSONField(null=True)),
                ('figures_of', models.BigIntegerField(default=-1)),
                ('figures_version', models.BigIntegerField(default=0)),
                ('figures_at', models.DateTimeField(null=True)),
            ],
            options={
                'verbose_name': 'activity scan',
                'db_table': 'stats_activity_cursor',
                'ordering': ['chain'],
            },
        ),
        migrations.CreateModel(
            name='ActivityDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('chain', models.TextField()),
                ('day', models.DateField()),
                ('blocks', models.BigIntegerField()),
                ('first_block', models.BigIntegerField()),
                ('last_block', models.BigIntegerField()),
                ('transactions', models.BigIntegerField()),
                ('gas_used', models.DecimalField(decimal_places=0, max_digits=30)),
                ('senders', models.BigIntegerField()),
                ('participants', models.BigIntegerField()),
                ('covered_s', models.IntegerField(help_text='Seconds of the day of which everything is known.')),
                ('senders_sketch', models.BinaryField()),
                ('participants_sketch', models.BinaryField()),
                ('sealed_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'stats_activity_day',
                'ordering': ['-day', 'chain'],
                'constraints': [models.UniqueConstraint(fields=('chain', 'day'), name='activity_day_once')],
            },
        ),
        migrations.CreateModel(
            name='ActivityRecord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('chain', models.TextField()),
                ('number', models.BigIntegerField(help_text='First block of the whole run / 1,200.')),
                ('first_block', models.BigIntegerField()),
                ('last_block', models.BigIntegerField()),
                ('blocks', models.IntegerField()),
                ('start_time', models.DateTimeField()),
                ('end_time', models.DateTimeField(db_index=True)),
                ('transactions', models.BigIntegerField()),
                ('senders', models.BigIntegerField()),
                ('participants', models.BigIntegerField()),
            ],
            options={
                'db_table': 'stats_activity_record',
                'ordering': ['chain', 'number'],
                'constraints': [models.UniqueConstraint(fields=('chain', 'number'), name='activity_record_once')],
            },
        ),
    ]
