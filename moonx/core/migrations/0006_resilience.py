import django.db.models.deletion
from django.db import migrations, models

# What a circuit did is never rewritten.
KEPT = """
CREATE FUNCTION core_append_only() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: what it says happened', TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER core_circuit_event_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON core_circuit_event
  FOR EACH STATEMENT EXECUTE FUNCTION core_append_only();
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'moonx_app') THEN
    REVOKE UPDATE, DELETE, TRUNCATE ON core_circuit_event FROM moonx_app;
  END IF;
END $$;
"""

UNKEPT = """
DROP TRIGGER core_circuit_event_is_kept ON core_circuit_event;
DROP FUNCTION core_append_only();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('core', '0005_spelled_events'),
    ]

    operations = [
        migrations.CreateModel(
            name='Circuit',
            fields=[
                ('key', models.TextField(primary_key=True, serialize=False)),
                ('provider', models.TextField()),
                ('chain', models.TextField(blank=True)),
                ('kind', models.TextField(choices=[('read', 'read'), ('logs', 'logs'), ('balances', 'balances'), ('price', 'price'), ('quote', 'quote')], verbose_name='class')),
                ('state', models.TextField(choices=[('CLOSED', 'CLOSED'), ('OPEN', 'OPEN'), ('HALF_OPEN', 'HALF_OPEN')])),
                ('version', models.BigIntegerField(default=0)),
                ('level', models.SmallIntegerField(default=0, help_text='Openings in a row, on which the wait depends; falls while closed.')),
                ('since', models.DateTimeField()),
                ('wait_ms', models.IntegerField(default=0)),
                ('is_held', models.BooleanField(default=False, help_text='An operator holds it open.', verbose_name='held')),
                ('is_ramped', models.BooleanField(default=False, verbose_name='ramped')),
                ('trip', models.TextField(blank=True, choices=[('', '—'), ('consecutive', 'consecutive'), ('rate', 'rate'), ('slow', 'slow'), ('probe', 'probe'), ('operator', 'operator')], verbose_name='opened by')),
                ('calls', models.IntegerField(default=0, help_text='In the minute before it opened.')),
                ('failures', models.IntegerField(default=0)),
                ('slow', models.IntegerField(default=0)),
            ],
            options={
                'db_table': 'core_circuit',
                'ordering': ['provider', 'chain', 'kind'],
            },
        ),
        migrations.CreateModel(
            name='CircuitEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.BigIntegerField()),
                ('from_state', models.TextField(verbose_name='from')),
                ('to_state', models.TextField(verbose_name='to')),
                ('trip', models.TextField(blank=True, verbose_name='opened by')),
                ('calls', models.IntegerField(default=0)),
                ('failures', models.IntegerField(default=0)),
                ('slow', models.IntegerField(default=0)),
                ('level', models.SmallIntegerField()),
                ('wait_ms', models.IntegerField()),
                ('by', models.TextField(blank=True, help_text='The operator; empty where the rules did it.')),
                ('reason', models.TextField(blank=True)),
                ('correlation_id', models.TextField(blank=True)),
                ('created_at', models.DateTimeField()),
                ('circuit', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='core.circuit')),
            ],
            options={
                'verbose_name': 'change of a circuit',
                'verbose_name_plural': 'changes of circuits',
                'db_table': 'core_circuit_event',
                'ordering': ['-id'],
                'constraints': [models.UniqueConstraint(fields=('circuit', 'version'), name='circuit_changes_once_a_version')],
            },
        ),
        migrations.RunSQL(KEPT, UNKEPT),
    ]
