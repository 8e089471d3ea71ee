from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Trades keep coming in while the index is built, which takes a second for each million.
    atomic = False
    dependencies = [("exchange", "0009_lateness")]
    operations = [
        AddIndexConcurrently(
            model_name="trade",
            index=models.Index(fields=["executed_at"], name="trade_by_moment"),
        ),
    ]
