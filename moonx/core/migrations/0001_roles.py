"""Lets the running role use whatever the owner creates; comes before every other table."""

from django.db import migrations

# The app role reads and writes rows. It owns nothing, so it can neither alter nor truncate.
GRANTS = """
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'moonx_app') THEN
    GRANT USAGE ON SCHEMA public TO moonx_app;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public
      GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO moonx_app;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO moonx_app;
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO moonx_app;
  END IF;
END $$;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    run_before = [
        ("contenttypes", "0001_initial"),
        ("sessions", "0001_initial"),
        ("django_celery_beat", "0001_initial"),
        ("axes", "0001_initial"),
    ]
    operations = [migrations.RunSQL(GRANTS, migrations.RunSQL.noop)]
