"""The small rules of `up`: pauses, ports, secrets, logins, log files, changed sources."""

import os
import socket
from pathlib import Path

import pytest

from moonx.roles import command_for
from moonx.settings import env as environment
from moonx.up.childlog import LIMIT_BYTES, ChildLog
from moonx.up.keys import load_keys
from moonx.up.logins import load_logins
from moonx.up.ports import find_ports, is_free
from moonx.up.reload import changed_sources
from moonx.up.restarts import FIRST_PAUSE_S, GOOD_WHILE_S, LONGEST_PAUSE_S, next_pause_s
from moonx.up.stack import embedded_stores


def test_pauses_double_up_to_a_limit() -> None:
    pauses = [0.0]
    for _ in range(10):
        pauses.append(next_pause_s(previous_s=pauses[-1], ran_s=0.1))
    assert pauses[1:4] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert pauses[-1] == LONGEST_PAUSE_S


def test_a_death_after_a_good_while_is_a_first_one() -> None:
    assert next_pause_s(previous_s=LONGEST_PAUSE_S, ran_s=GOOD_WHILE_S) == FIRST_PAUSE_S


def test_a_home_gets_the_same_free_ports_each_time(tmp_path: Path) -> None:
    ports = find_ports(tmp_path, ["one", "two"])
    assert ports == find_ports(tmp_path, ["one", "two"])
    with socket.create_server(("127.0.0.1", ports["one"])):
        assert not is_free(ports["one"])
        assert ports["one"] not in find_ports(tmp_path, ["one", "two"]).values()


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    keys = load_keys(tmp_path)
    assert load_keys(tmp_path) == keys
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert len(set(keys.values())) == len(keys)


def test_passwords_stay_unless_they_are_fixed(tmp_path: Path) -> None:
    first = load_logins(tmp_path, ["admin", "alice"])
    assert load_logins(tmp_path, ["admin"])["admin"] == first["admin"]
    assert load_logins(tmp_path, ["admin", "alice"]) == first
    fixed = load_logins(tmp_path, ["admin", "alice"], fixed="a word")
    assert fixed == {"admin": "a word", "alice": "a word"}
    assert load_logins(tmp_path, ["alice"]) == {"alice": "a word"}
    assert (tmp_path / "credentials").stat().st_mode & 0o777 == 0o600


def test_a_log_gives_whole_lines_and_stays_below_its_limit(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "child.log")
    assert [*log.lines(b"one\ntw"), *log.lines(b"o\r\n")] == ["one", "two"]
    for _ in range(3):
        assert len(list(log.lines(b"x" * (LIMIT_BYTES // 2) + b"\n"))) == 1
    log.close()
    assert (tmp_path / "child.log").stat().st_size < LIMIT_BYTES
    assert (tmp_path / "child.log.1").exists()


def test_a_store_that_the_environment_names_is_not_embedded() -> None:
    assert embedded_stores({}) == {"postgres", "broker", "cache"}
    assert embedded_stores({"DATABASE_URL": "postgresql://db/moonx"}) == {"broker", "cache"}
    assert embedded_stores({"REDIS_URL": "redis://there"}) == {"postgres"}


def test_changed_sources_are_noticed_once(tmp_path: Path) -> None:
    source = tmp_path / "moonx" / "one.py"
    source.parent.mkdir()
    source.write_text("")
    seen: list[str] = []
    tick = changed_sources(tmp_path, seen.extend)
    tick()
    os.utime(source, (1, 1))
    tick()
    tick()
    assert seen == ["moonx/one.py"]


def test_the_simulator_listens_where_its_address_says() -> None:
    command = command_for("simulator", environment.load(simulator_url="http://127.0.0.1:8123"))
    assert (
        command[command.index("--host") + 1],
        command[command.index("--port") + 1],
    ) == ("127.0.0.1", "8123")
    elsewhere = environment.load(simulator_url="http://simulator:80", moonx_host="0.0.0.0")  # noqa: S104
    command = command_for("simulator", elsewhere)
    assert command[command.index("--host") + 1] == "0.0.0.0"  # noqa: S104


@pytest.mark.parametrize("url", ["", "http://simulator"])
def test_a_simulator_without_a_port_says_what_to_set(url: str) -> None:
    with pytest.raises(ValueError, match="set it, with a port"):
        command_for("simulator", environment.load(simulator_url=url))
