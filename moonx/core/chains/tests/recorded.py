"""Ethereum's block 17,000,000 as a node answered it: the whole block and its receipts."""

import json
import lzma
from pathlib import Path
from typing import Any

NUMBER = 17_000_000
DATA = Path(__file__).parent / "data"


def block() -> dict[str, Any]:
    """The result of `eth_getBlockByNumber` with whole transactions."""
    found: dict[str, Any] = _result("block")
    return found


def receipts() -> list[dict[str, Any]]:
    """The result of `eth_getBlockReceipts`."""
    found: list[dict[str, Any]] = _result("receipts")
    return found


def _result(name: str) -> Any:
    with lzma.open(DATA / f"mainnet-{NUMBER}-{name}.json.xz") as file:
        return json.load(file)["result"]
