from django.db import migrations

import moonx.core.models

# Topics and payloads only pass through: kept as they were spelled, they are neither parsed into
# jsonb when written nor spelled again when relayed.
SPELLED = """
ALTER TABLE core_outbox ALTER COLUMN topics TYPE json, ALTER COLUMN payload TYPE json;
ALTER TABLE core_event ALTER COLUMN topics TYPE json, ALTER COLUMN payload TYPE json;
"""
PARSED = """
ALTER TABLE core_outbox ALTER COLUMN topics TYPE jsonb, ALTER COLUMN payload TYPE jsonb;
ALTER TABLE core_event ALTER COLUMN topics TYPE jsonb, ALTER COLUMN payload TYPE jsonb;
"""


def spelled(model: str, name: str) -> migrations.AlterField:
    return migrations.AlterField(model, name, moonx.core.models.SpelledJson())


class Migration(migrations.Migration):
    dependencies = [("core", "0004_event_times")]
    operations = [
        migrations.RunSQL(
            SPELLED,
            PARSED,
            state_operations=[
                spelled(model, name)
                for model in ("OutboxEvent", "PublishedEvent")
                for name in ("topics", "payload")
            ],
        )
    ]
