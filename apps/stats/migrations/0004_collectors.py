
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('stats', '0003_bridges'),
    ]

    operations = [
        migrations.CreateModel(
            name='Collector',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.TextField()),
                ('provider', models.TextField()),
                ('successes', models.BigIntegerField(default=0)),
                ('failures', models.BigIntegerField(default=0)),
                ('last_success_at', models.DateTimeField(null=True)),
                ('last_failure_at', models.DateTimeField(null=True)),
                ('last_fault', models.TextField(blank=True)),
                ('last_duration_ms', models.IntegerField(default=0)),
                ('last_late_ms', models.IntegerField(null=True)),
            ],
            options={
                'ordering': ['name', 'provider'],
                'constraints': [models.UniqueConstraint(fields=('name', 'provider'), name='collector_once')],
            },
        ),
    ]
