"""Arrays as PostgreSQL reads them: the driver spells them element by element, ten times slower."""

from collections.abc import Iterable
from decimal import Decimal


def numbers(values: Iterable[int | Decimal]) -> str:
    """Numbers, for a parameter like `%s::bigint[]` or `%s::numeric[]`."""
    return "{" + ",".join(map(str, values)) + "}"


def words(values: Iterable[str]) -> str:
    """Words of letters, digits and underscores, or empty; for a parameter like `%s::text[]`.

    Raises ValueError for anything else, which would need escaping.
    """
    found = list(values)
    if not all(word.isidentifier() or not word for word in set(found)):
        raise ValueError("only words can be spelled so")
    return "{" + ",".join([f'"{word}"' for word in found]) + "}"
