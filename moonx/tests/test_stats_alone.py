"""The API of statistics needs its rows and nothing else: no chain, no service, no beat."""

import os
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import OperationalError, connection
from django.test import Client
from pydantic import SecretStr

from apps.stats.api import remembered
from moonx.core.chains import registry
from moonx.documents.merged import openapi

pytestmark = pytest.mark.usefixtures("clean_valkey")

# One for all: each new one builds the chain of middleware anew.
CLIENT = Client()

STOPPED = SecretStr("http://127.0.0.1:9/v2/a-key")


def paths() -> list[str]:
    """Every documented path of statistics, of REI where it names a chain."""
    known = [path for path in openapi()["paths"] if "/stats/" in path]
    return [path.replace("{chain}", "rei") for path in known]


def test_every_path_of_statistics_is_documented() -> None:
    assert set(paths()) == {
        *("/api/v1/stats/chains", "/api/v1/stats/bridges", "/api/v1/stats/overview"),
        *("/api/v1/stats/activity", "/api/v1/stats/activity/hours"),
        "/api/v1/stats/activity/days",
        *("/api/v1/stats/chains/rei/history", "/api/v1/stats/bridges/history"),
        *("/api/stats/24h", "/api/stats/history"),
    }


@pytest.mark.django_db
def test_no_request_opens_a_connection_to_anybody_else(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every node and service stopped each path answers, and nobody is even asked."""
    settings.ENV = settings.ENV.model_copy(
        update={f"rpc_url_{chain.slug}": STOPPED for chain in registry.all()}
    )
    assert registry.enabled() == registry.all()
    asked: list[Any] = []
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def noted(self: socket.socket, address: Any) -> None:
        asked.append(address)
        connect(self, address)

    def noted_ex(self: socket.socket, address: Any) -> int:
        asked.append(address)
        return connect_ex(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    monkeypatch.setattr(socket.socket, "connect_ex", noted_ex)
    for path in paths():
        answer = CLIENT.get(path, {"chain": "rei"})
        assert answer.status_code == 200, path
        assert answer["ETag"].startswith('W/"')
        assert answer["Cache-Control"] == "no-cache"
    ours = {urlsplit(os.environ[name]).port for name in ("CACHE_URL", "BROKER_URL")}
    assert {address[1] for address in asked} <= ours


@pytest.mark.django_db
def test_without_the_database_every_path_says_so(settings: Any) -> None:
    def gone(*_: Any) -> None:
        raise OperationalError("server closed the connection, with a secret")

    remembered.forget()
    with connection.execute_wrapper(gone):
        for path in paths():
            answer = CLIENT.get(path)
            assert answer.status_code == 503, path
            assert answer.json() == {
                "code": "unavailable",
                "message": "The database does not answer. Try again.",
            }
            assert answer["Cache-Control"] == "no-store"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/v1/stats/none", "/api/stats/none", "/api/v1/stats/"])
def test_what_is_no_path_is_told_as_json(path: str) -> None:
    answer = CLIENT.get(path, headers={"Accept": "application/json"})
    assert answer.status_code == 404
    assert answer.json()["code"] == "notFound"
