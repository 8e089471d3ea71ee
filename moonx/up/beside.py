"""`manage.py` beside a running `up`: its servers are found without being told."""

import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
STORES = ("DATABASE_URL", "DB_HOST", "BROKER_URL", "CACHE_URL", "REDIS_URL", "REDIS_HOST")


def running_environment(home: Path) -> Path:
    """The private file in which an `up` says where its servers are, while it runs."""
    return home / "run" / "environment.json"


def use_running_stack() -> None:
    """Takes the variables of the `up` that runs in MOONX_HOME, unless a store is named already."""
    if any(os.environ.get(name) for name in STORES):
        return
    path = running_environment(ROOT / os.environ.get("MOONX_HOME", ".moonx"))
    if path.exists():
        for name, value in json.loads(path.read_text()).items():
            os.environ.setdefault(name, value)
