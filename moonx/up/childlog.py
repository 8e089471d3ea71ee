"""A child's words: cut into lines, kept in a file of limited size."""

from collections.abc import Iterator
from pathlib import Path

LIMIT_BYTES = 10_000_000  # per file; one former file is kept
LONGEST_LINE_BYTES = 65_536


class ChildLog:
    """Appends what a child writes to its file and gives back whole lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab")
        self._rest = b""

    def lines(self, data: bytes) -> Iterator[str]:
        """The lines that these bytes complete; an endless line is cut."""
        self._keep(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE_BYTES:
            whole.append(self._rest)
            self._rest = b""
        for line in whole:
            yield line.decode(errors="replace").rstrip("\r")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _keep(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()
        if self._file.tell() > LIMIT_BYTES:
            self._file.close()
            self.path.replace(self.path.with_suffix(".log.1"))
            self._file = self.path.open("ab")
