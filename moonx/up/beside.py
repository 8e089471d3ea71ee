"""`manage.py` beside a running `up`: its servers are found without being told."""

import fcntl
import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
STORES = ("DATABASE_URL", "DB_HOST", "BROKER_URL", "CACHE_URL", "REDIS_URL", "REDIS_HOST")


def running_environment(home: Path) -> Path:
    """The private file in which an `up` says where its servers are, while it runs."""
    return home / "run" / "environment.json"


def is_running(home: Path) -> bool:
    """Whether an `up` holds the home: a killed one leaves its files, but not its lock."""
    try:
        with (home / "run" / "up.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def use_running_stack() -> None:
    """Takes the variables of the `up` that runs in MOONX_HOME, unless a store is named already."""
    if any(os.environ.get(name) for name in STORES):
        return
    home = ROOT / os.environ.get("MOONX_HOME", ".moonx")
    path = running_environment(home)
    if path.exists() and is_running(home):
        for name, value in json.loads(path.read_text()).items():
            os.environ.setdefault(name, value)
