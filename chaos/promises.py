"""What clients were promised, kept where no kill can take it, and joined with the rows afterwards.

A client notes what it is about to ask under a key of its own, then what it was told. A note is one
line appended by one system call: it stands once the call returned, whoever dies then.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True, kw_only=True)
class Promise:
    """Something that was asked for; `told` is None where no answer came, so that it may be or not.

    `refused` answers promise that nothing happened.
    """

    key: str
    kind: str
    asked: dict[str, Any]
    told: dict[str, Any] | None = None

    @property
    def is_kept_by_a_row(self) -> bool:
        """Whether there must be a row: it was answered, and not with a refusal."""
        return self.told is not None and "refused" not in self.told

    @property
    def is_refused(self) -> bool:
        """Whether there must be no row."""
        return self.told is not None and "refused" in self.told


class Notebook:
    """One client's notes."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def intend(self, key: str, kind: str, **asked: Any) -> None:
        """Notes what is about to be asked for."""
        self._write({"key": key, "kind": kind, "asked": asked})

    def told(self, key: str, **answer: Any) -> None:
        """Notes what was answered."""
        self._write({"key": key, "told": answer})

    def _write(self, note: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(note).encode() + b"\n")


def read(folder: Path) -> list[Promise]:
    """Every promise noted in the folder's notebooks."""
    found: dict[str, Promise] = {}
    for path in sorted(folder.iterdir()):
        for line in path.read_text().splitlines():
            note = json.loads(line)
            if "told" in note:
                found[note["key"]].told = note["told"]
            else:
                found[note["key"]] = Promise(**note)
    return list(found.values())


@dataclass(slots=True)
class Joined:
    """Keys by what became of them. `unknown` were never answered: they may have a row or not."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    refused_yet_there: list[str] = field(default_factory=list)
    never_asked: list[str] = field(default_factory=list)
    unknown_and_there: list[str] = field(default_factory=list)
    unknown_and_absent: list[str] = field(default_factory=list)


def join(promises: Iterable[Promise], rows: Iterable[str]) -> Joined:
    """Joins promises with the keys of rows, one to one."""
    by_key, found = {promise.key: promise for promise in promises}, Counter(rows)
    joined = Joined(doubled=[key for key, times in found.items() if times > 1])
    joined.never_asked = [key for key in found if key not in by_key]
    for key, promise in by_key.items():
        _place(joined, promise, is_there=key in found)
    return joined


def _place(joined: Joined, promise: Promise, *, is_there: bool) -> None:
    if promise.is_kept_by_a_row and not is_there:
        joined.lost.append(promise.key)
    elif promise.is_refused and is_there:
        joined.refused_yet_there.append(promise.key)
    elif promise.told is None:
        (joined.unknown_and_there if is_there else joined.unknown_and_absent).append(promise.key)
