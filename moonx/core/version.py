"""The version of MoonX: the newest heading of the change log, and stated nowhere else."""

import re
from functools import cache
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parent.parent.parent / "CHANGELOG.md"
HEADING = re.compile(r"^## (\d+\.\d+\.\d+)", re.MULTILINE)


@cache
def version() -> str:
    """The version as `1.2.3`; ValueError where the change log has no such heading."""
    found = HEADING.search(CHANGELOG.read_text())
    if found is None:
        raise ValueError(f"{CHANGELOG} has no heading like `## 1.2.3`")
    return found[1]
