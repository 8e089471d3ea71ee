"""Finds in the files of the project what does not belong there: planning, this machine, secrets.

`python -m tests.words [FILE ...]` prints each place as file:line; without files it reads all.
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Each pattern is written so that it does not find itself.
UNWANTED = {
    "a word of planning": re.compile(
        r"\bthe s[e]eds\b|\bs[e]ed 00\d\b|\bs[e]eds/|\bs[e]ed'?s (?:ask|say|name|want)"
        r"|\bmissi[o]n\b|DESIGN[.]md|\bspec[/]\w|[.][.]/shar[e]d|\bissu[e] #?\d+|\bthe bri[e]f\b",
        re.IGNORECASE,
    ),
    "a word about how this is developed": re.compile(
        r"\bcla[u]de\b|\bchatgp[t]\b|\bcopil[o]t\b|\bLL[M]s?\b|\bH-(?:up|ops|page|proof|deploy)\b"
    ),
    "a path of one machine": re.compile(r"/wor[k]/(?:main|shared)|/home/[a-z]\w*/|/tmp/bri[e]f"),
    "the host of a package registry": re.compile(
        r"\bpypi[.]org|pythonhosted[.]org|registry[.]npmjs|registry[.]yarnpkg"
    ),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE[ ]KEY-----"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where something unwanted stands."""

    path: Path
    line: int
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}: {self.text.strip()[:100]}"


def unwanted(path: Path, text: str) -> Iterable[Place]:
    """Every unwanted line of a file's text."""
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in UNWANTED.items():
            if pattern.search(line):
                yield Place(path, number, what, line)


def project_files() -> list[Path]:
    """The files that are, or would be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(name) for name in listed.stdout.splitlines()]


def search(paths: Iterable[Path]) -> list[Place]:
    """Every unwanted line of the text files among `paths` (relative to the project)."""
    found: list[Place] = []
    for path in paths:
        try:
            text = (ROOT / path).read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # pictures and archives hold no words; a deleted file neither
        found.extend(unwanted(path, text))
    return found


def main() -> int:
    """Prints what was found; the exit code."""
    found = search([Path(name) for name in sys.argv[1:]] or project_files())
    for place in found:
        print(place, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
