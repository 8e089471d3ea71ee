"""The local EVM chain: anvil from its npm package, its state kept from run to run."""

import json
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
        """Makes the state file one that anvil can go on from; says so if that cost blocks.

        Anvil rewrites the file in place, so a kill may leave half of it: then the last whole copy
        takes its place.
        """
        self.state.parent.mkdir(mode=0o700, exist_ok=True)
        if not self.state.exists():
            return None
        if (state := _read(self.state)) is not None:
            _write(self.state, _with_one_genesis(state))
            shutil.copyfile(self.state, self._copy)
            return None
        if (state := _read(self._copy)) is not None:
            _write(self.state, _with_one_genesis(state))
            return "The chain's file was cut off by a kill: its last whole copy is used."
        self.state.unlink()
        return "The chain's file was cut off by a kill and there is no copy: the chain starts anew."

    def keep_copy(self) -> None:
        """Keeps the present state aside, if it is whole at this moment."""
        if (state := _read(self.state)) is not None:
            _write(self._copy, state)

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


def _read(path: Path) -> dict[str, Any] | None:
    """The chain in the file; None if there is no file or only a part of one."""
    try:
        with path.open("rb") as file:
            found: dict[str, Any] = json.load(file)
    except (FileNotFoundError, ValueError):
        return None
    return found


def _write(path: Path, state: dict[str, Any]) -> None:
    unfinished = path.with_suffix(".new")
    with unfinished.open("w") as file:
        json.dump(state, file)
    unfinished.replace(path)


def _with_one_genesis(state: dict[str, Any]) -> dict[str, Any]:
    """The state without the first blocks of later starts.

    Anvil makes a first block at each start, keeps it beside the one that it reads, and answers with
    any of them; the chain stands on the oldest.
    """
    firsts = [block for block in state["blocks"] if _number(block, "number") == 0]
    oldest = min((_number(block, "timestamp") for block in firsts), default=0)
    blocks = [
        block
        for block in state["blocks"]
        if _number(block, "number") > 0 or _number(block, "timestamp") == oldest
    ]
    return {**state, "blocks": blocks}


def _number(block: dict[str, Any], field: str) -> int:
    return int(block["header"][field], 16)
