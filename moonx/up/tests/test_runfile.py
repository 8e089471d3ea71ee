"""Locks and orphans of a home."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from moonx.up.beside import STORES, running_environment, use_running_stack
from moonx.up.errors import AlreadyRunningError
from moonx.up.runfile import RunFile, release_lock, take_lock


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "1000"], start_new_session=True)


def run_file(home: Path) -> RunFile:
    (home / "run").mkdir(exist_ok=True)
    return RunFile(home)


def test_a_second_lock_of_a_home_names_the_holder(tmp_path: Path) -> None:
    lock = take_lock(tmp_path)
    with pytest.raises(AlreadyRunningError, match=r"already running in .* \(pid \d+\)"):
        take_lock(tmp_path)
    release_lock(tmp_path, lock)
    release_lock(tmp_path, take_lock(tmp_path))
    assert not (tmp_path / "run" / "up.lock").exists()


def test_commands_beside_take_the_servers_of_a_running_stack_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in STORES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MOONX_HOME", str(tmp_path))
    lock = take_lock(tmp_path)
    running_environment(tmp_path).write_text(json.dumps({"CACHE_URL": "redis://there"}))
    use_running_stack()
    assert os.environ.pop("CACHE_URL") == "redis://there"
    lock.close()  # as a kill does
    use_running_stack()
    assert "CACHE_URL" not in os.environ


def test_orphans_of_a_killed_run_are_ended(tmp_path: Path) -> None:
    child = sleeper()
    run_file(tmp_path).add("sleeper", child.pid)
    assert RunFile(tmp_path).end_orphans() == ["sleeper"]
    assert child.wait(1) < 0
    assert RunFile(tmp_path).end_orphans() == []


def test_a_process_that_got_the_number_of_an_old_child_is_left_alone(tmp_path: Path) -> None:
    child = sleeper()
    run_file(tmp_path).add("sleeper", child.pid)
    path = tmp_path / "run" / "groups.json"
    noted = json.loads(path.read_text())
    noted["groups"][0]["started"] = "1"
    path.write_text(json.dumps(noted))
    assert RunFile(tmp_path).end_orphans() == []
    assert child.poll() is None
    child.kill()
    child.wait()


def test_notes_from_before_a_restart_of_the_machine_are_ignored(tmp_path: Path) -> None:
    child = sleeper()
    run_file(tmp_path).add("sleeper", child.pid)
    path = tmp_path / "run" / "groups.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"boot": "another"}))
    assert RunFile(tmp_path).end_orphans() == []
    child.kill()
    child.wait()
