"""`python -m moonx.up`, also `manage.py up`: the whole of MoonX in the foreground."""

import argparse
import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from moonx.roles import ROOT
from moonx.settings import env as environment
from moonx.up.beside import running_environment
from moonx.up.console import Console
from moonx.up.errors import PortTakenError, UpError
from moonx.up.keys import load_keys
from moonx.up.makewatch import parent_gave_up
from moonx.up.ports import is_free
from moonx.up.reload import changed_sources
from moonx.up.runfile import RunFile, release_lock, take_lock
from moonx.up.stack import Stack
from moonx.up.supervisor import Stopped, Supervisor

OPEN_FILES = 65_536  # a socket each, with room for files


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until a signal; the exit code. What went wrong is one sentence on stderr."""
    begun_s = time.monotonic()
    options = _options(arguments)
    try:
        env = environment.load()
        home = (ROOT / env.moonx_home).resolve()
        return _up(home, env, reload=options.reload, begun_s=begun_s)
    except (UpError, environment.BadSettings) as error:
        sentence = str(error)
    except OSError as error:
        sentence = f"{error.filename or 'The system'}: {error.strerror}."
    except KeyboardInterrupt:
        sentence = "Stopped before anything was started."
    print(f"make up: {sentence}", file=sys.stderr)
    return 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="manage.py up", description=__doc__)
    parser.add_argument(
        "--reload", action="store_true", help="start roles again when a source file changes"
    )
    return parser.parse_args(arguments)


def _up(home: Path, env: environment.Env, *, reload: bool, begun_s: float) -> int:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = take_lock(home)
    try:
        return _up_locked(home, env, reload=reload, begun_s=begun_s)
    finally:
        running_environment(home).unlink(missing_ok=True)
        release_lock(home, lock)


def _up_locked(home: Path, env: environment.Env, *, reload: bool, begun_s: float) -> int:
    console, run_file = Console(), RunFile(home)
    if orphans := run_file.end_orphans():
        console.step(f"the last run was killed: ended its {', '.join(orphans)}")
    if not is_free(env.moonx_port, host=env.moonx_host):
        raise PortTakenError(
            f"Port {env.moonx_port} is taken: stop what listens there, or set MOONX_PORT."
        )
    _raise_limit_of_open_files()
    supervisor = Supervisor(
        console=console, logs=home / "log", run_file=run_file, environ=os.environ
    )
    stack = Stack(home, env, console, supervisor, load_keys(home), begun_s)
    with supervisor.signals():
        supervisor.watch(parent_gave_up())
        try:
            stack.start()
        except Stopped:
            console.step("stopped before everything was started")
            return 1
        if reload:
            supervisor.every(1.0, changed_sources(ROOT, stack.reload))
        supervisor.run()
        console.step("stopping: once more Ctrl-C hastens")
    console.step("stopped")
    return 0


def _raise_limit_of_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
