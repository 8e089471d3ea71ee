from django.db import migrations

# The index of what expires loses its oldest entries all day. A vacuum that finds few dead rows
# leaves indexes as they are, and each sweep would walk over all that has expired since.
CLEAN = "ALTER TABLE exchange_order SET (vacuum_index_cleanup = on, autovacuum_vacuum_scale_factor = 0.02)"
USUAL = "ALTER TABLE exchange_order RESET (vacuum_index_cleanup, autovacuum_vacuum_scale_factor)"


class Migration(migrations.Migration):
    dependencies = [("exchange", "0006_trusted_markets")]
    operations = [migrations.RunSQL(CLEAN, USUAL)]
