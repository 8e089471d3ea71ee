from django.db import migrations

# Events come in the order of their times: a few pages of summaries find those of a moment, at no
# cost a row.
INDEX = """
CREATE INDEX core_event_by_time ON core_event
  USING brin (relayed_at) WITH (pages_per_range = 16, autosummarize = on);
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0003_roll_events_safely")]
    operations = [migrations.RunSQL(INDEX, "DROP INDEX core_event_by_time;")]
