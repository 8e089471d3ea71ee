"""What a role refuses to start on, against real servers."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

from moonx.core import startup
from moonx.core.startup import Unsafe
from moonx.settings import env

Use = Callable[..., Any]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Settings as if the environment held these variables too."""

    def change(**variables: str) -> Any:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return override_settings(ENV=env.load())

    return change


@pytest.mark.parametrize("role", ["web", "ws", "worker:tickers", "beat", "relay", "monolith"])
def test_a_role_starts_on_safe_stores(role: str) -> None:
    startup.require_safe(role)


def test_a_broker_that_evicts_is_refused_by_those_who_use_it(use: Use) -> None:
    # The push server may drop keys; as a broker it would drop messages.
    with use(BROKER_URL=os.environ["CACHE_URL"]):
        with pytest.raises(Unsafe, match=r"maxmemory-policy is volatile-lru.*Set it to noevict"):
            startup.require_safe("worker:tickers")
        startup.require_safe("relay")


@override_settings(CHECK_DURABILITY=True)
def test_a_database_that_forgets_after_a_crash_is_refused() -> None:
    # The tests' own PostgreSQL is such a one.
    with pytest.raises(Unsafe, match="fsync = off"):
        startup.require_safe("relay")


@override_settings(IS_DEVELOPMENT=False, SECRET_KEY="short")
def test_a_weak_secret_is_refused_where_sign_in_happens() -> None:
    with pytest.raises(Unsafe, match="SECRET_KEY has 5 characters"):
        startup.require_safe("web")
    startup.require_safe("relay")


def test_flower_without_a_login_is_refused(use: Use) -> None:
    with use(FLOWER_BASIC_AUTH=""), pytest.raises(Unsafe, match="set FLOWER_BASIC_AUTH"):
        startup.require_safe("flower")
    with use(FLOWER_BASIC_AUTH="ops:secret"):
        startup.require_safe("flower")


def test_metrics_of_a_pool_that_nobody_could_read_are_refused(use: Use) -> None:
    with use(METRICS_PORT="9100"), pytest.raises(Unsafe, match="PROMETHEUS_MULTIPROC_DIR"):
        startup.require_safe("worker:tickers")


def test_a_store_that_does_not_answer_yet_is_waited_for_and_not_refused(use: Use) -> None:
    with use(
        BROKER_URL="redis://127.0.0.1:9/0", DATABASE_URL="postgresql://nobody@127.0.0.1:9/none"
    ):
        startup.require_safe("worker:tickers")


def test_a_process_that_must_not_start_ends_with_one_sentence() -> None:
    with (
        override_settings(IS_DEVELOPMENT=False, SECRET_KEY="short"),
        pytest.raises(SystemExit, match=r"^web does not start: SECRET_KEY has 5 characters"),
    ):
        startup.end_if_unsafe("web")
