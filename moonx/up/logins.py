"""The people of a home and their passwords, in a file that only its user can read."""

import secrets
from collections.abc import Sequence
from pathlib import Path

from moonx.up.keys import write_private


def load_logins(home: Path, names: Sequence[str], *, fixed: str = "") -> dict[str, str]:
    """Password by name: `fixed` for all if given, else made once; one `name password` a line."""
    path = home / "credentials"
    lines = path.read_text().splitlines() if path.exists() else []
    kept = dict(line.split(maxsplit=1) for line in lines if len(line.split(maxsplit=1)) == 2)
    wanted = {name: fixed or kept.get(name) or secrets.token_urlsafe(12) for name in names}
    everyone = {**kept, **wanted}
    if everyone != kept:
        write_private(path, "".join(f"{name} {word}\n" for name, word in everyone.items()))
    return wanted
