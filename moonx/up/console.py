"""What a person sees: steps, the children's lines with their names, one block at the end."""

import contextlib
import os
import sys
from typing import TextIO

COLOURS = (36, 32, 35, 33, 34, 96, 92, 95, 93, 94)
WIDTH = 14


class Console:
    """Prints to one stream; silent once nobody reads it any more."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._coloured = stream.isatty() and "NO_COLOR" not in os.environ
        self._names: list[str] = []

    def step(self, text: str) -> None:
        """One line of what `up` is doing."""
        self._print(f"{self._paint('up'.ljust(WIDTH) + '|', '1')} {text}")

    def child(self, name: str, line: str) -> None:
        """One line that a child wrote."""
        if name not in self._names:
            self._names.append(name)
        colour = COLOURS[self._names.index(name) % len(COLOURS)]
        self._print(f"{self._paint(name.ljust(WIDTH) + '|', str(colour))} {line}")

    def block(self, rows: list[tuple[str, str]]) -> None:
        """The closing block: label and value, one below the other."""
        width = max(len(label) for label, _ in rows)
        body = [f"  {label.ljust(width)}  {value}" for label, value in rows]
        self._print("\n".join(["", *body, ""]))

    def _paint(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._coloured else text

    def _print(self, text: str) -> None:
        # A closed terminal or pipe is no reason to fail: stopping must go on to its end.
        with contextlib.suppress(OSError, ValueError):
            print(text, file=self._stream, flush=True)
