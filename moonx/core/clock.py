"""Business time: PostgreSQL's clock, never a worker's."""

from datetime import datetime

from django.db import connection


def db_now() -> datetime:
    """The database server's wall clock at this very moment (not the transaction's start).

    Inside a REPEATABLE READ transaction whose first statement this is, every row of the
    snapshot was committed before it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row = cursor.fetchone()
    now: datetime = row[0]
    return now
