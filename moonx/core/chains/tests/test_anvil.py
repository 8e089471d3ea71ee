"""The real node: what the reader makes of its blocks, and of a reorg."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moonx.core.chains import providers
from moonx.core.chains.reader import Reader
from moonx.core.chains.tests.nodes import chain_row
from moonx.core.upstream import http
from moonx.up.chain import LocalChain
from moonx.up.ports import find_ports
from moonx.up.process import spawn, wait_until

pytestmark = pytest.mark.usefixtures("db", "clean_valkey")

CREATES_AND_LOGS = "0x60006000a060016000f3"  # a constructor that logs, and leaves one byte of code


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home: Path = tmp_path_factory.mktemp("anvil")
    local = LocalChain(home, find_ports(home, ["chain"])["chain"])
    local.prepare()
    child = spawn(local.service(), environ=os.environ, output=subprocess.DEVNULL)
    assert wait_until(lambda: local.genesis() is not None, timeout_s=10)
    tell(local.url, "evm_setIntervalMining", 0)  # a block comes when a test says so
    yield local.url
    child.kill()
    child.wait()


def tell(url: str, method: str, *params: Any) -> Any:
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = http.post_json(url, call, server="anvil", timeout_s=5)
    assert "error" not in answer, answer
    return answer["result"]


def reader(url: str) -> Reader:
    return Reader(chain_row(), providers.named("local", [(url, 5.0)]))


def test_transfers_creations_and_their_receipts_are_read_as_the_node_made_them(
    anvil: str,
) -> None:
    sender, recipient, *_ = tell(anvil, "eth_accounts")
    tell(anvil, "eth_sendTransaction", {"from": sender, "to": recipient, "value": "0x1"})
    tell(anvil, "eth_sendTransaction", {"from": sender, "data": CREATES_AND_LOGS})
    tell(anvil, "evm_mine")
    found = reader(anvil)
    assert found.check() == {found.provider_names[0]: None}
    (head,) = found.heads()
    assert head.number is not None
    blocks = found.traffic(range(head.number + 1))
    assert [block.header for block in blocks] == found.headers(range(head.number + 1))
    pairs = [pair for block in blocks for pair in zip(block.senders, block.recipients, strict=True)]
    me = bytes.fromhex(sender[2:])
    assert pairs == [(me, bytes.fromhex(recipient[2:])), (me, None)]
    (number,) = [block.header.number for block in blocks if block.senders]
    transfer, creation = found.receipts(number)
    assert (transfer.created, transfer.fee_wei) == (None, 21_000 * (transfer.gas_price_wei or 0))
    assert creation.created is not None
    (log,) = creation.logs
    assert log.address == creation.created
    assert found.logs(first=0, last=head.number, addresses=[log.address]) == [log]


def test_a_reorg_shows_in_the_hashes_and_the_chain_stays_whole(anvil: str) -> None:
    tell(anvil, "anvil_mine", "0x8")
    found = reader(anvil)
    (head,) = found.heads()
    assert head.number is not None
    before = found.headers(range(head.number + 1))
    tell(anvil, "anvil_reorg", 3, [])
    after = found.headers(range(head.number + 1))
    same = [one.hash == other.hash for one, other in zip(before, after, strict=True)]
    assert same[-4:] == [True, False, False, False]
    assert [block.parent_hash for block in after[1:]] == [block.hash for block in after[:-1]]
