"""Settings: every fault named at once, names of the former services understood, nothing unsafe."""

import subprocess
import sys
from pathlib import Path

import pytest

from moonx.settings import env, former
from moonx.settings.env import BadSettings, Env

ROOT = Path(__file__).resolve().parent.parent

SAFE = {
    "MOONX_ENV": "prod",
    "SECRET_KEY": "k" * 64,
    "DATABASE_URL": "postgresql://moonx_app@db/moonx",
    "BROKER_URL": "redis://broker/0",
    "CACHE_URL": "redis://cache/0",
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of this machine or of the test run reaches the settings under test."""
    names = {name.upper() for name in Env.model_fields}
    for name in names | set(former.RENAMED) | set(former.IGNORED):
        monkeypatch.delenv(name, raising=False)
    for name in ("MODULES_SET", "WORKER_TYPE", "KAFKA_BROKERS"):
        monkeypatch.delenv(name, raising=False)


def given(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def refusal() -> str:
    with pytest.raises(BadSettings) as refused:
        env.load()
    return str(refused.value)


def start_in_production(**variables: str) -> str:
    """What a command says when it is refused for these variables, no others being set."""
    done = subprocess.run(
        [sys.executable, "manage.py", "diffsettings"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "MOONX_HOME": "/nonexistent", **SAFE, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr if done.returncode else ""


def test_an_empty_environment_is_a_usable_one() -> None:
    settings = env.load()
    assert (settings.moonx_role, settings.moonx_port) == ("monolith", 8000)


def test_all_bad_variables_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given(
        monkeypatch,
        MOONX_PORT="eighty",
        LOG_LEVEL="loud",
        DB_PASSWORD="your_strong_password",
        MOONX_ROLE="captain",
        WS_PING_INTERVAL="1",
    )
    message = refusal()
    for name in ("MOONX_PORT", "LOG_LEVEL", "DB_PASSWORD", "MOONX_ROLE", "WS_PING_INTERVAL"):
        assert message.count(f"  {name}: ") == 1, message


def test_a_refusal_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, DB_PASSWORD="changeme", SECRET_KEY="hidden-key", MOONX_PORT="x")
    message = refusal()
    assert "hidden-key" not in message
    assert "changeme" not in message


@pytest.mark.parametrize("placeholder", ["your_strong_password", "CHANGEME", "password"])
def test_a_placeholder_is_no_password(monkeypatch: pytest.MonkeyPatch, placeholder: str) -> None:
    given(monkeypatch, DB_PASSWORD=placeholder)
    assert "DB_PASSWORD: is a placeholder" in refusal()


def test_an_own_and_a_former_name_that_differ_are_both_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given(monkeypatch, MOONX_PORT="8000", WEBSOCKET_SERVICE_PORT="3008")
    message = refusal()
    assert "MOONX_PORT" in message
    assert "WEBSOCKET_SERVICE_PORT" in message


def test_a_former_name_alone_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, WEBSOCKET_SERVICE_PORT="3008")
    assert env.load().moonx_port == 3008


def test_two_database_servers_are_a_contradiction(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, DATABASE_URL="postgresql://a@one/moonx", DB_HOST="two")
    message = refusal()
    assert "DATABASE_URL" in message
    assert "DB_HOST" in message


def test_kafka_without_a_bus_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, KAFKA_BROKERS="localhost:9092")
    assert "EVENT_BUS_URL" in refusal()


@pytest.mark.parametrize(
    ("name", "value", "role"),
    [
        ("MODULES_SET", "monolith", "monolith"),
        ("MODULES_SET", "api", "web"),
        ("MODULES_SET", "background", "background"),
        ("WORKER_TYPE", "ticker", "worker:tickers"),
        ("WORKER_TYPE", "deposits", "worker:deposits"),
    ],
)
def test_former_roles_are_translated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, role: str
) -> None:
    given(monkeypatch, **{name: value})
    assert env.load().moonx_role == role


def test_an_own_role_wins_over_a_former_one(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, MOONX_ROLE="relay", MODULES_SET="api")
    assert env.load().moonx_role == "relay"


def test_an_unknown_queue_is_refused_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, MOONX_ROLE="worker:tickers,poetry")
    message = refusal()
    assert "candles" in message


def test_warn_is_a_log_level(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, LOG_LEVEL="WARN")
    assert env.load().log_level == "warning"


def test_the_parts_of_a_database_make_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, DB_HOST="db", DB_PASSWORD="p@ss/word", DB_SSL="true")
    expected = "postgresql://moonx_app:p%40ss%2Fword@db:5432/moonx?sslmode=require"
    assert env.load().database_dsn() == expected


def test_a_password_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("from-a-file\n")
    given(monkeypatch, DB_HOST="db", DB_PASSWORD_FILE=str(secret))
    assert ":from-a-file@" in env.load().database_dsn()


def test_one_redis_serves_broker_and_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, REDIS_URL="redis://one/0")
    settings = env.load()
    assert settings.broker_dsn() == settings.cache_dsn() == "redis://one/0"


def test_commas_make_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, ALLOWED_HOSTS="a.example, b.example,")
    assert env.load().allowed_hosts == ("a.example", "b.example")


def test_ignored_names_say_what_to_set_instead() -> None:
    found = former.ignored_in({"NODE_ENV": "production", "PATH": "/bin"})
    assert list(found) == ["NODE_ENV"]
    assert "MOONX_ENV" in found["NODE_ENV"]


def test_production_names_everything_unsafe_at_once() -> None:
    said = start_in_production(SECRET_KEY="short", RATE_LIMIT_ENABLED="false", BROKER_URL="")
    for name in ("SECRET_KEY", "RATE_LIMIT_ENABLED", "BROKER_URL"):
        assert name in said, said


def test_production_starts_with_what_it_needs() -> None:
    assert start_in_production() == ""


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("0 */5 * * * *", "*/5 * * * *"),
        ("*/2  * * * *", "*/2 * * * *"),
        ("0 0,30 8-18/2 * 1-6 1,5", "0,30 8-18/2 * 1-6 1,5"),
        ("0 0 29 2 *", "0 0 29 2 *"),
    ],
)
def test_a_calendar_has_five_fields_or_six_from_second_zero(
    monkeypatch: pytest.MonkeyPatch, written: str, kept: str
) -> None:
    given(monkeypatch, BRIDGE_LATENCY_INTERVAL=written)
    assert env.load().bridge_latency_interval == kept


def test_calendars_that_cannot_be_kept_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given(
        monkeypatch,
        STATS_COLLECTION_INTERVAL="*/30 * * * * *",
        CHAIN_PERFORMANCE_INTERVAL="* * *",
        BRIDGE_LATENCY_INTERVAL="0 0 31 2,4 *",
    )
    message = refusal()
    assert "STATS_COLLECTION_INTERVAL: starts at second '*/30'" in message
    assert "CHAIN_PERFORMANCE_INTERVAL: has 3 fields" in message
    assert "BRIDGE_LATENCY_INTERVAL: names a day that its months do not have" in message


@pytest.mark.parametrize("part", ["60", "a", "*/0", "5/2", "5-3", "-1", "1-", "", ","])
def test_a_field_takes_numbers_that_there_are(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    given(monkeypatch, STATS_COLLECTION_INTERVAL=f"{part} * * * *")
    assert "STATS_COLLECTION_INTERVAL: " in refusal()
