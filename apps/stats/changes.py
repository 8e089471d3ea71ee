"""What is worth telling: a sample against what subscribers were last told, as functions of values.

A figure may drift within its dead band. It is measured from the value that was told, never from the
last sample, so that no slow drift goes untold.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

HEARTBEAT = timedelta(minutes=5)  # told even if nothing moved, so that silence means trouble
# They differ each time and say nothing of the subject.
VOLATILE = frozenset({"seq", "heartbeat", "asOf", "sampledAt"})
ZERO = Decimal(0)

Payload = Mapping[str, Any]
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeadBand:
    """How far a figure may be from what was told: the larger of `absolute` (in the figure's own
    unit) and `relative` (a share of what was told)."""

    absolute: Decimal = ZERO
    relative: Decimal = ZERO

    def holds(self, told: Any, fresh: Any) -> bool:
        """Whether the two are as good as equal; where only one is known, only `ANYWHERE` does."""
        if self == ANYWHERE:
            return True
        if told is None or fresh is None:
            return told is fresh
        try:
            before, after = Decimal(told), Decimal(fresh)
        except (InvalidOperation, TypeError, ValueError):
            return bool(told == fresh)
        return abs(after - before) <= max(self.absolute, self.relative * abs(before))


ANYWHERE = DeadBand(Decimal("Infinity"))  # of a figure that is carried along, and never news

# Dead bands by field, as in `head`, `blockTimeMs.p50`, `providers.*.p95Ms`; a field stands for all
# that is inside it, unless that has a band of its own. What has none is told whenever it changes.
Bands = Mapping[str, DeadBand]


class Decision(StrEnum):
    """Whether to tell a sample, and why."""

    SILENT = "silent"
    CHANGED = "changed"
    HEARTBEAT = "heartbeat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What subscribers were last told of a subject, with its digest, and when."""

    payload: Payload
    digest: bytes
    at: datetime


def decide(told: Told | None, fresh: Payload, bands: Bands, *, now: datetime) -> Decision:
    """Changed where a status or the set of reasons is another, or a figure left its dead band
    around what was told; a heartbeat where nothing was told for five minutes; else silent."""
    if told is None or differs(told, fresh, bands):
        return Decision.CHANGED
    return Decision.HEARTBEAT if now - told.at >= HEARTBEAT else Decision.SILENT


def differs(told: Told, fresh: Payload, bands: Bands) -> bool:
    """Whether anything but times is another, dead bands allowed for."""
    if told.digest == digest(fresh):
        return False
    before, after = dict(_leaves(told.payload)), dict(_leaves(fresh))
    return any(
        not _band(path, bands).holds(before.get(path), after.get(path))
        for path in before.keys() | after.keys()
    )


def digest(payload: Payload) -> bytes:
    """16 bytes of BLAKE2b over the canonical JSON of all fields but times and counters."""
    steady = {name: value for name, value in payload.items() if name not in VOLATILE}
    text = json.dumps(steady, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _leaves(payload: Payload) -> Iterator[tuple[Path, Any]]:
    """Each value with its path; what a list holds is known by its name or as a reason."""
    for name, value in payload.items():
        if name not in VOLATILE:
            yield from _below((name,), value)


def _below(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    match value:
        case Mapping():
            for name, inner in value.items():
                yield from _below((*path, str(name)), inner)
        case list() | tuple():
            for item in value:
                yield from _item(path, item)
        case _:
            yield path, value


def _item(path: Path, item: Any) -> Iterator[tuple[Path, Any]]:
    """A reason is the same one whatever its value; what has a name is looked into."""
    match item:
        case {"rule": _}:
            same = {key: kept for key, kept in item.items() if key not in {"value", "limit"}}
            yield (*path, f"={json.dumps(same, sort_keys=True)}"), True
        case {"name": name, **rest}:
            yield (*path, f"={name}"), True
            yield from _below((*path, f"={name}"), rest)
        case _:
            yield (*path, f"={json.dumps(item, sort_keys=True)}"), True


def _band(path: Path, bands: Bands) -> DeadBand:
    """The band of the field, or of the nearest that it is in."""
    names = ["*" if name.startswith("=") else name for name in path]
    for length in range(len(names), 0, -1):
        found = bands.get(".".join(names[:length]))
        if found is not None:
            return found
    return DeadBand()
