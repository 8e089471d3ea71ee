"""Tables without their indexes while millions of rows are laid out, and with them afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.world import as_owner

CONSTRAINTS = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = %s::regclass AND contype IN ('p', 'u', 'f', 'c')
ORDER BY array_position(ARRAY['p', 'u', 'c', 'f'], contype::text), conname
"""
INDEXES = """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
WHERE i.indrelid = %s::regclass AND NOT EXISTS (
  SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u'))
"""


@contextmanager
def bare(table: str) -> Iterator[None]:
    """Drops the table's indexes and constraints, and puts every one back, whatever happens."""
    with as_owner() as owner:
        constraints = owner.execute(CONSTRAINTS, [table]).fetchall()
        indexes = owner.execute(INDEXES, [table]).fetchall()
        for name, _ in reversed(constraints):
            owner.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        for name, _ in indexes:
            owner.execute(f"DROP INDEX {name}")
    try:
        yield
    finally:
        with as_owner() as owner:
            for name, definition in constraints:
                owner.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')
            for _, definition in indexes:
                owner.execute(str(definition))
