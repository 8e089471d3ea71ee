"""For `make dev`: notices changed source files."""

from collections.abc import Callable
from pathlib import Path

FOLDERS = ("moonx", "apps")


def changed_sources(root: Path, act: Callable[[list[str]], None]) -> Callable[[], None]:
    """A tick that calls `act` with the files that changed, came or went since the last one."""
    seen = _stamps(root)

    def tick() -> None:
        nonlocal seen
        now = _stamps(root)
        if now != seen:
            changed = sorted({path for path, _ in now.items() ^ seen.items()})
            seen = now
            act(changed)

    return tick


def _stamps(root: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for folder in FOLDERS:
        for path in (root / folder).rglob("*.py"):
            try:
                found[str(path.relative_to(root))] = path.stat().st_mtime_ns
            except FileNotFoundError:  # removed between the listing and the look
                continue
    return found
