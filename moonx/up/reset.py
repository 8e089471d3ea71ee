"""`python -m moonx.up.reset`: empties MOONX_HOME."""

import shutil
import sys
from pathlib import Path

from moonx.roles import ROOT
from moonx.settings import env as environment
from moonx.up.errors import UpError
from moonx.up.runfile import RunFile, release_lock, take_lock
from moonx.up.stores import Stores


def reset(home: Path) -> str:
    """Removes all that `up` keeps in the home and says so; UpError if it runs or is not one."""
    if not home.exists() or not any(home.iterdir()):
        return f"{home} is empty already."
    if not (home / "secrets.json").exists():
        raise UpError(f"{home} was not made by MoonX: nothing was removed.")
    lock = take_lock(home)
    RunFile(home).end_orphans()
    shutil.rmtree(Stores(home).postgres.socket_dir, ignore_errors=True)
    for path in home.iterdir():
        if path.name != "run":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    release_lock(home, lock)
    shutil.rmtree(home / "run")
    return f"{home} is empty."


def main() -> int:
    """Resets the home of the environment; the exit code."""
    try:
        print(reset((ROOT / environment.load().moonx_home).resolve()))
    except (UpError, environment.BadSettings) as error:
        print(f"make reset: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
