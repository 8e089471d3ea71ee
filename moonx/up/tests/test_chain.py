"""The chain's file: whole, or the last whole copy."""

import json
import os
import signal
import subprocess
from pathlib import Path

from moonx.up.chain import LocalChain
from moonx.up.ports import find_ports
from moonx.up.process import spawn, wait_until


def chain(home: Path) -> LocalChain:
    made = LocalChain(home, 1)
    assert made.prepare() is None
    return made


def block(number: int, timestamp: int) -> dict[str, dict[str, str]]:
    return {"header": {"number": hex(number), "timestamp": hex(timestamp)}}


def test_half_a_file_is_replaced_by_its_last_whole_copy(tmp_path: Path) -> None:
    local, whole = chain(tmp_path), {"blocks": [block(0, 5), block(1, 7)]}
    local.state.write_text(json.dumps(whole))
    local.keep_copy()
    local.state.write_text(json.dumps(whole)[:-3])
    local.keep_copy()
    assert "last whole copy" in str(local.prepare())
    assert json.loads(local.state.read_text()) == whole


def test_the_first_blocks_of_later_starts_are_dropped(tmp_path: Path) -> None:
    local = chain(tmp_path)
    local.state.write_text(json.dumps({"blocks": [block(0, 9), block(0, 5), block(1, 7)]}))
    assert local.prepare() is None
    assert json.loads(local.state.read_text()) == {"blocks": [block(0, 5), block(1, 7)]}


def test_the_chain_goes_on_over_restarts_and_kills(tmp_path: Path) -> None:
    local = LocalChain(tmp_path, find_ports(tmp_path, ["chain"])["chain"])
    seen = set()
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, signal.SIGTERM):
        assert local.prepare() is None
        service = local.service()
        child = spawn(service, environ=os.environ, output=subprocess.DEVNULL)
        assert wait_until(lambda: local.genesis() is not None, timeout_s=10)
        seen.add(local.genesis())
        assert wait_until(local.state.exists, timeout_s=5)
        child.send_signal(number)
        child.wait()
    assert len(seen) == 1


def test_half_a_file_without_a_copy_starts_a_new_chain(tmp_path: Path) -> None:
    local = chain(tmp_path)
    local.state.write_text('{"blo')
    assert "starts anew" in str(local.prepare())
    assert not local.state.exists()
