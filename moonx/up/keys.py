"""Secrets of one MOONX_HOME: made once, kept in one file that only its user can read."""

import json
import os
import secrets
from pathlib import Path

# Never renamed: a home keeps what it was given.
NAMES = (
    "secret_key",
    "postgres_superuser",
    "postgres_owner",
    "postgres_app",
    "valkey_broker",
    "valkey_cache",
    "flower",
    "metrics",
)


def write_private(path: Path, text: str) -> None:
    """Replaces the file at once, mode 600: a reader sees the old text or the new."""
    unfinished = path.with_name(f"{path.name}.new")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def load_keys(home: Path) -> dict[str, str]:
    """The home's secrets by name; those that an older home lacks are added."""
    path = home / "secrets.json"
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = [name for name in NAMES if name not in kept]
    if missing:
        kept |= {name: secrets.token_urlsafe(32) for name in missing}
        write_private(path, json.dumps(kept, indent=1))
    return kept
