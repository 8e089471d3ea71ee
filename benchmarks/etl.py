"""The environment of ethereum-etl, which needs another web3 than MoonX: made once, below .make."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from moonx.up.chain import ROOT

VERSION = "2.4.2"
# Its web3 5 asks for a parsimonious that no longer runs on Python 3.11, and for setuptools of old.
OVERRIDE = "parsimonious==0.10.0\n"
PACKAGES = (f"ethereum-etl=={VERSION}", "setuptools<80")
HOME = ROOT / ".make" / f"ethereum-etl-{VERSION}"
UV = Path(sys.executable).parent / "uv"


class Peer:
    """The child; it is asked for a range of blocks and answers with what it found."""

    def __init__(self, child: "Popen[str]") -> None:
        self._child = child

    def scan(self, url: str, *, first: int, last: int) -> dict[str, Any]:
        """Unique senders and participants of the blocks, as it counts them, and the `cpu_s` that
        it took."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(f"{url} {first} {last}\n")
        self._child.stdin.flush()
        found: dict[str, Any] = json.loads(self._child.stdout.readline())
        return found


@contextmanager
def peer() -> Iterator[Peer]:
    """ethereum-etl, ready; its packages are fetched the first time."""
    python = HOME / "bin" / "python"
    if not (HOME / "done").exists():
        _install(python)
    program = Path(__file__).parent / "etl_peer.py"
    command = [str(python), "-W", "ignore", str(program)]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            if child.stdout.readline().strip() != "ready":
                raise RuntimeError("ethereum-etl did not start: its error stands above")
            yield Peer(child)
        finally:
            child.kill()


def _install(python: Path) -> None:
    HOME.parent.mkdir(exist_ok=True)
    override = HOME.parent / "ethereum-etl.overrides"
    override.write_text(OVERRIDE)
    subprocess.run([UV, "venv", "--quiet", "--clear", "--python", sys.executable, HOME], check=True)
    subprocess.run(
        [
            *(UV, "pip", "install", "--quiet", "--python", python),
            *("--overrides", override, *PACKAGES),
        ],
        check=True,
    )
    (HOME / "done").touch()
