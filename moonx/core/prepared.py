"""Statements that PostgreSQL plans once a connection: for the few that run with every order.

Planning one that joins five tables takes longer than running it for one row. Each distinct text is
kept, so the text must be a constant; values go in as parameters, of types that the statement tells.
"""

from typing import Any, cast

import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper


class _Prepared(psycopg.Cursor[Any]):
    is_binary = False

    def execute(self, query: Any, params: Any = None, **_: Any) -> Any:
        return super().execute(query, params, prepare=True, binary=self.is_binary)


class _PreparedBinary(_Prepared):
    is_binary = True


def cursor(*, binary: bool = False) -> CursorWrapper:
    """A cursor of Django's own connection and transaction; the database binds its parameters.

    `binary` results spare large byte strings their way through hexadecimal digits.
    """
    connection.ensure_connection()
    driver = connection.connection
    if driver.prepare_threshold is None:  # Django's cursors never prepare, whatever it says
        driver.prepare_threshold = 0
    made = (_PreparedBinary if binary else _Prepared)(driver)
    if connection.queries_logged:
        return connection.make_debug_cursor(cast("CursorWrapper", made))
    return connection.make_cursor(cast("CursorWrapper", made))
