"""Whether two JSON values are built alike: the same keys and types, all the way down."""

from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import Any


def differences(
    example: Any,
    found: Any,
    *,
    optional: Collection[str] = (),
    extra: Collection[str] = (),
    keyed: Collection[str] = (),
    nullable: Collection[str] = (),
    path: str = "",
) -> Iterator[str]:
    """A sentence for each place where `found` is not built as `example`.

    Paths are spelled `steps[].items`. Those in `optional` may be missing and those in `extra` may
    be there beside the example's; those in `keyed` are objects whose keys are data; those in
    `nullable` may be null.
    """
    marks = {"optional": optional, "extra": extra, "keyed": keyed, "nullable": nullable}
    if isinstance(example, dict) and isinstance(found, dict):
        yield from _of_objects(example, found, path=path, marks=marks)
    elif isinstance(example, list) and isinstance(found, list):
        for item in found if example else ():
            ways = [list(differences(one, item, path=f"{path}[]", **marks)) for one in example]
            yield from min(ways, key=len)
    elif found is None and path in nullable:
        return
    elif example is not None and kind(example) != kind(found):
        yield f"{path}: {kind(found)} in place of {kind(example)}"


def _of_objects(
    example: dict[str, Any], found: dict[str, Any], *, path: str, marks: dict[str, Any]
) -> Iterator[str]:
    if path in marks["keyed"]:
        for value in found.values():
            ways = [
                list(differences(one, value, path=f"{path}.*", **marks)) for one in example.values()
            ]
            yield from min(ways, key=len)
        return
    for name in example.keys() | found.keys():
        place = f"{path}.{name}".removeprefix(".")
        if name not in found:
            if place not in marks["optional"]:
                yield f"{place} is missing"
        elif name not in example:
            if place not in marks["extra"]:
                yield f"{place} is not in the example"
        else:
            yield from differences(example[name], found[name], path=place, **marks)


def kind(value: Any) -> str:
    """What JSON calls the value; all numbers are of one kind."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | Decimal):
        return "number"
    return "null" if value is None else type(value).__name__
