"""The local EVM chain: anvil from its npm package, its state kept from run to run."""

import json
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from moonx.up.errors import MissingToolError
from moonx.up.keys import write_private
from moonx.up.process import Service

CHAIN_ID = 31337
BLOCK_TIME_S = 2
# The mnemonic of every local development chain: its keys are public and hold play money only.
MNEMONIC = "test test test test test test test test test test test junk"
ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class LocalChain:
    """One chain below a home, reached on a loopback port."""

    home: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def state(self) -> Path:
        return self.home / "anvil" / "state.json"

    def prepare(self) -> str | None:
        """Makes the state file one that anvil can read; says so if that cost blocks.

        Anvil rewrites the file in place, so a kill may leave half of it: then the last whole copy
        takes its place.
        """
        self.state.parent.mkdir(mode=0o700, exist_ok=True)
        copy = self._copy
        if _is_whole(self.state):
            shutil.copyfile(self.state, copy)
            return None
        if not self.state.exists():
            return None
        if _is_whole(copy):
            shutil.copyfile(copy, self.state)
            return "The chain's file was cut off by a kill: its last whole copy is used."
        self.state.unlink()
        return "The chain's file was cut off by a kill and there is no copy: the chain starts anew."

    def keep_copy(self) -> None:
        """Keeps the present state aside, if it is whole at this moment."""
        if _is_whole(self.state):
            unfinished = self._copy.with_suffix(".new")
            shutil.copyfile(self.state, unfinished)
            if _is_whole(unfinished):
                unfinished.replace(self._copy)

    def service(self) -> Service:
        """The node as a child."""
        return Service(
            name="anvil",
            argv=[
                *(str(_program()), "--host", "127.0.0.1", "--port", str(self.port)),
                *("--chain-id", str(CHAIN_ID), "--mnemonic", MNEMONIC),
                *("--block-time", str(BLOCK_TIME_S), "--quiet"),
                *("--state", str(self.state), "--state-interval", "1"),
            ],
            before=self.prepare,
            ready=lambda _pid: self.genesis() is not None,
        )

    def genesis(self) -> str | None:
        """The hash of the running chain's first block; None while it does not answer."""
        call = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "eth_getBlockByNumber",
            "params": ["0x0", False],
        }
        request = urllib.request.Request(  # noqa: S310  (a loopback address of our own)
            self.url, data=json.dumps(call).encode(), headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=1) as reply:  # noqa: S310
                block = json.load(reply)["result"]
        except (OSError, urllib.error.URLError, ValueError, KeyError):
            return None
        return str(block["hash"]) if block else None

    def known_genesis(self) -> str | None:
        """The genesis that this home's rows belong to."""
        path = self.home / "anvil" / "genesis"
        return path.read_text().strip() if path.exists() else None

    def remember(self, genesis: str) -> None:
        """From now on the rows belong to this genesis."""
        write_private(self.home / "anvil" / "genesis", genesis)

    def forget(self) -> None:
        """Removes the chain's file and its copy: the next start makes a new chain."""
        self.state.unlink(missing_ok=True)
        self._copy.unlink(missing_ok=True)

    @property
    def _copy(self) -> Path:
        return self.state.with_suffix(".copy")


def _program() -> Path:
    for program in ROOT.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"):
        return program
    raise MissingToolError(
        "The EVM node is not installed: run `make up`, which does it, or name a node of your own "
        "in RPC_URL_LOCAL."
    )


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            json.load(file)
    except (FileNotFoundError, ValueError):
        return False
    return True
