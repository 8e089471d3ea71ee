"""Demo traffic, on the real node."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from moonx.up.chain import LocalChain
from moonx.up.ports import find_ports
from moonx.up.process import spawn, wait_until
from moonx.up.traffic import (
    BUSY_BLOCKS,
    MOST_ADDRESSES,
    MOST_TRANSFERS,
    REVERTING,
    Node,
    NodeAway,
    WrongNode,
    address,
    population,
    wave,
)


@dataclass
class Running:
    """A node that can be killed and started again on its state."""

    local: LocalChain
    child: subprocess.Popen[bytes]

    def restart(self) -> None:
        self.child.kill()
        self.child.wait()
        assert self.local.prepare() is None
        self.child = _spawned(self.local)


def _spawned(local: LocalChain) -> subprocess.Popen[bytes]:
    child = spawn(local.service(), environ=os.environ, output=subprocess.DEVNULL)
    assert wait_until(lambda: local.genesis() is not None, timeout_s=10)
    return child


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    local = LocalChain(tmp_path, find_ports(tmp_path, ["chain"])["chain"])
    assert local.prepare() is None
    found = Running(local, _spawned(local))
    yield found
    found.child.kill()
    found.child.wait()


def _transactions(node: Node) -> list[dict[str, Any]]:
    blocks = node.ask(
        [("eth_getBlockByNumber", [hex(number), True]) for number in range(node.height() + 1)]
    )
    return [one for block in blocks for one in block["transactions"]]


def test_a_block_brings_the_same_in_every_run() -> None:
    assert [wave(block) for block in range(50)] == [wave(block) for block in range(50)]
    assert wave(1) != wave(2)


def test_addresses_grow_in_number_and_waves_stay_small() -> None:
    used = [{one["from"] for block in range(end) for one in wave(block)} for end in (50, 500)]
    assert len(used[0]) < len(used[1]) <= population(500)
    assert population(10**9) == MOST_ADDRESSES
    assert max(len(wave(block)) for block in range(3_000)) <= MOST_TRANSFERS + 2


def test_an_old_chain_gets_less() -> None:
    def sent(begin: int) -> int:
        return sum(len(wave(block)) for block in range(begin, begin + 300))

    assert sent(BUSY_BLOCKS) < sent(BUSY_BLOCKS - 300) / 3


def test_the_node_takes_transfers_creations_and_calls_that_fail(running: Running) -> None:
    node = Node(running.local.url)
    hashes = [one for block in range(1, 13) for one in node.send(wave(block))]
    node.ask([("evm_mine", [])])
    receipts = node.ask([("eth_getTransactionReceipt", [one]) for one in hashes])
    assert all(receipts)
    assert {one["to"] for one in receipts if one["status"] == "0x0"} == {REVERTING}
    assert [one for one in receipts if one["to"] is None and one["contractAddress"]]
    assert len({one["from"] for one in receipts}) > 8


def test_traffic_goes_on_over_a_restart_of_the_node_and_ends_cleanly(running: Running) -> None:
    node = Node(running.local.url)
    traffic = subprocess.Popen(
        [sys.executable, "-m", "moonx.up.traffic", running.local.url], stdout=subprocess.PIPE
    )
    try:
        assert wait_until(lambda: bool(_transactions(node)), timeout_s=10, pause_s=0.2)
        running.restart()
        before = node.height()
        assert wait_until(
            lambda: any(int(one["blockNumber"], 16) > before for one in _transactions(node)),
            timeout_s=10,
            pause_s=0.2,
        )
        traffic.send_signal(signal.SIGTERM)
        said, _ = traffic.communicate(timeout=5)
    finally:
        traffic.kill()
    assert traffic.returncode == 0
    assert said.count(b"demo traffic waits") == said.count(b"demo traffic goes on") <= 3


def test_a_node_that_is_away_is_told_from_a_wrong_one() -> None:
    class Wrong(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            results = [b'"Geth/v1.16"', b'"0x7a69"', b'"0x10"']
            items = [b'{"id":%d,"result":%s}' % pair for pair in enumerate(results)]
            body = b"[" + b",".join(items) + b"]"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Wrong) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(WrongNode, match="no demo traffic there"):
            Node(f"http://127.0.0.1:{server.server_port}").height()
        server.shutdown()
    with pytest.raises(NodeAway):
        Node(f"http://127.0.0.1:{server.server_port}").height()


def test_addresses_are_made_up_and_well_formed() -> None:
    assert len({address(number) for number in range(500)}) == 500
    assert all(len(bytes.fromhex(address(number)[2:])) == 20 for number in range(9))
