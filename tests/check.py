"""What `make check` does beside ruff, mypy and the import rule: each check, its verdict, its time.

All of them run even where one fails; the exit code is 1 if any did.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
# Nobody listens there: no check needs a database, and none may find one by chance.
NO_SERVERS = {
    "MOONX_ENV": "prod",
    "SECRET_KEY": "".join(chr(ord("!") + i) for i in range(64)),
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "BROKER_URL": "redis://127.0.0.1:1",
    "CACHE_URL": "redis://127.0.0.1:1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A command that must exit 0, run in the project's directory."""

    name: str
    command: Sequence[str | Path]
    env: Mapping[str, str] = field(default_factory=dict)


CHECKS = (
    Check(
        name="migrations are complete",
        # Quiet about the missing server: what is compared are models and files.
        command=[
            *(sys.executable, "-W", "ignore::RuntimeWarning"),
            *("manage.py", "makemigrations", "--check", "--dry-run"),
        ],
        env=NO_SERVERS,
    ),
    Check(
        name="Django's checks for production",
        command=[sys.executable, "manage.py", "check", "--deploy", "--fail-level=WARNING"],
        env=NO_SERVERS,
    ),
    Check(
        name="settings are documented",
        command=[sys.executable, "-m", "moonx.settings.docs", "--check"],
    ),
    Check(
        name="compose file fits its schema",
        command=[
            BIN / "check-jsonschema",
            *("--quiet", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"),
        ],
    ),
    Check(name="Dockerfile", command=[BIN / "hadolint", "deploy/Dockerfile"]),
    Check(name="YAML", command=[BIN / "yamllint", "--strict", "."]),
    Check(name="words", command=[sys.executable, "-m", "tests.words"]),
)


def run(check: Check) -> bool:
    """Whether the command exits 0; what it says is shown only if it does not."""
    begun_s = time.monotonic()
    done = subprocess.run(
        [str(part) for part in check.command],
        cwd=ROOT,
        env={**os.environ, **check.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    passed = done.returncode == 0
    verdict = "ok" if passed else "FAILED"
    print(f"{check.name:32} {verdict:6} {time.monotonic() - begun_s:5.1f} s", flush=True)
    if not passed:
        print(done.stdout, end="", flush=True)
    return passed


def main() -> int:
    """Runs every check; the exit code."""
    verdicts = [run(check) for check in CHECKS]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
