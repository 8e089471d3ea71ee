"""The operators' commands."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import override_settings
from django_celery_beat.models import PeriodicTask

from apps.exchange.models import CandleWatermark
from moonx import doctor, schedule
from moonx.core import clock, locks, valkey
from moonx.core.chains.generated import GeneratedChain
from moonx.core.chains.lying import Lie, LyingServer
from moonx.core.locks import Lock
from moonx.core.models import Cursor
from moonx.doctor import Finding, Level
from moonx.settings import env
from moonx.simulator.tests.server import Simulator

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().strip()


def beat_as(role: str, *, host: str = "", silent_s: int = 0) -> None:
    host = host or socket.gethostname()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO core_heartbeat (instance, role, host, pid, started_at, beat_at, stats) "
            "VALUES (%s, %s, %s, 1, clock_timestamp(), "
            "clock_timestamp() - %s * interval '1 second', '{}')",
            [f"{role}@{host}", role, host, silent_s],
        )


def elsewhere(**variables: str) -> Any:
    """Settings as if the environment held these variables too."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        return override_settings(ENV=env.load())
    finally:
        os.environ.clear()
        os.environ.update(before)


def findings() -> dict[str, Finding]:
    return {finding.subject: finding for finding in doctor.examine()}


@pytest.fixture
def page() -> Iterator[int]:
    """A web server that says it is ready; its port."""

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in {"/health/ready", "/healthcheck"} else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_run_task_runs_one_entry_and_prints_its_line() -> None:
    line = run("run_task", "exchange.update_tickers")
    assert line.startswith("exchange.update_tickers: Updated 0 tickers in ")


def test_run_task_names_the_known_tasks_for_an_unknown_one() -> None:
    with pytest.raises(CommandError, match="There is no task 'nope'") as refused:
        run("run_task", "nope")
    assert all(name in str(refused.value) for name in schedule.known_tasks())


def test_run_task_fails_where_another_run_is_under_way() -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            locks.try_hold(Lock.JOB, locks.key_of("exchange.update_tickers"))
            held.set()
            done.wait(10)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(5)
    try:
        with pytest.raises(CommandError, match="another run of it is under way"):
            run("run_task", "exchange.update_tickers")
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("name", schedule.known_tasks())
def test_every_entry_can_be_run_by_hand(name: str) -> None:
    assert run("run_task", name).startswith(f"{name}: ")


def test_pruning_leaves_days_ahead_for_coming_events() -> None:
    run("run_task", "realtime.prune_events")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'core_event'::regclass")
        assert cursor.fetchone()[0] >= 4


def test_install_schedule_says_what_it_did() -> None:
    assert "exchange.update_tickers" in run("install_schedule")
    PeriodicTask.objects.filter(name="exchange.update_tickers").update(queue="candles")
    assert run("install_schedule").splitlines() == [
        "created: none",
        "disabled: none",
        "kept as changed: exchange.update_tickers runs every 5 s on candles, "
        "by default every 5 s on tickers",
    ]


def test_a_beating_role_is_healthy() -> None:
    beat_as("beat")
    assert run("health", "beat").startswith("beat: healthy: beat reported at ")


@pytest.mark.parametrize("silent", [{"silent_s": 95}, {"host": "another-host"}])
def test_a_role_that_is_silent_or_elsewhere_is_not_healthy_here(silent: dict[str, Any]) -> None:
    beat_as("relay", **silent)
    with pytest.raises(CommandError, match="relay has not reported"):
        run("health", "relay")


def test_a_worker_is_healthy_if_living_workers_serve_its_queues() -> None:
    beat_as("worker:tickers,candles")
    assert run("health", "worker:tickers").endswith("tickers served")
    with pytest.raises(CommandError, match="serves stats"):
        run("health", "worker:tickers,stats")


def test_a_web_process_and_flower_are_asked_over_http(page: int) -> None:
    with elsewhere(MOONX_PORT=str(page), FLOWER_PORT=str(page)):
        assert run("health", "web") == "web: healthy: /health/ready answers 200"
        assert run("health", "flower") == "flower: healthy: Flower answers 200"
    with elsewhere(MOONX_PORT="9"), pytest.raises(CommandError, match="nothing answers on"):
        run("health", "ws")


def test_the_stores_have_a_probe_of_their_own() -> None:
    assert run("health", "stores") == "stores: healthy: database, broker, cache answer"
    with (
        elsewhere(CACHE_URL="redis://127.0.0.1:9"),
        pytest.raises(CommandError, match="no answer from cache"),
    ):
        run("health", "stores")


def test_an_unknown_role_is_not_healthy() -> None:
    with pytest.raises(CommandError, match="there is no role 'cook'"):
        run("health", "cook")


def test_the_doctor_finds_a_sound_installation_sound() -> None:
    schedule.install()
    for role in ("web", "beat", "relay", "worker:tickers,candles,matching,expiry,deposits"):
        beat_as(role)
    beat_as("worker:stats,sync")
    valkey.client().mset({valkey.key("position"): 0, valkey.key("epoch"): "e1"})
    with Simulator() as simulator, elsewhere(SIMULATOR_URL=simulator.url):
        levels = {subject: finding.level for subject, finding in findings().items()}
    assert levels.pop("markets") == levels.pop("chains") == Level.WARN
    assert set(levels.values()) == {Level.OK}


def test_the_doctor_fails_for_what_does_not_run_and_says_how_to_start_it() -> None:
    found = findings()
    for subject in ("workers", "page", "clock", "relay"):
        assert found[subject].level is Level.FAIL
        assert "manage.py run" in found[subject].advice
    with pytest.raises(SystemExit) as ended:
        run("doctor")
    assert ended.value.code == 1


def test_the_doctor_tells_which_outside_services_are_real_simulated_or_off() -> None:
    with elsewhere(LIFI_API_KEY="k", SIMULATOR_URL=""):
        assert findings()["outside services"].sentence == (
            "Real: lifi, relay, defillama, defillama-coins, binance, coingecko, dexscreener; "
            "off: 1inch, alchemy."
        )
    with Simulator() as simulator, elsewhere(LIFI_API_KEY="k", SIMULATOR_URL=simulator.url):
        found = findings()
    assert found["outside services"].sentence.startswith("Real: lifi; simulated: relay, 1inch,")
    assert found["simulator"].level is Level.OK
    with elsewhere(SIMULATOR_URL="http://127.0.0.1:1"):
        gone = findings()["simulator"]
    assert gone.level is Level.FAIL
    assert "MOONX_ROLE=simulator" in gone.advice


def test_a_simulator_is_healthy_while_it_answers() -> None:
    with Simulator() as simulator, elsewhere(SIMULATOR_URL=simulator.url):
        assert "answers 200" in run("health", "simulator")
    for url, sentence in (("http://127.0.0.1:1", "nothing answers"), ("", "SIMULATOR_URL")):
        with elsewhere(SIMULATOR_URL=url), pytest.raises(CommandError, match=sentence):
            run("health", "simulator")


def test_the_doctor_tells_of_late_entries_and_unclosed_candles() -> None:
    schedule.install()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE exchange_candlewatermark "
            "SET closed_until = clock_timestamp() - interval '10 minutes'"
        )
        cursor.execute(
            "UPDATE django_celery_beat_periodictask "
            "SET last_run_at = clock_timestamp() - interval '10 minutes' "
            "WHERE name = 'exchange.update_tickers'"
        )
    found = [finding for finding in doctor.examine() if finding.level is Level.FAIL]
    sentences = " ".join(finding.sentence for finding in found)
    assert "exchange.update_tickers is late" in sentences
    assert "1m candles are not closed up to now" in sentences


def test_the_doctor_tells_that_the_database_clock_was_set_back() -> None:
    assert "database clock" not in findings()
    CandleWatermark.objects.update(closed_until=clock.db_now() + timedelta(hours=1))
    found = findings()["database clock"]
    assert found.level is Level.FAIL
    assert "is done up to" in found.sentence


def test_the_doctor_tells_when_the_ledger_was_last_in_order() -> None:
    assert findings()["ledger"].level is Level.OK
    run("reconcile", "--new")
    assert findings()["ledger"].sentence.startswith("In order at ")
    Cursor.objects.update(updated_at=clock.db_now() - timedelta(minutes=6))
    assert findings()["ledger"].level is Level.FAIL


def test_the_doctor_names_one_server_for_two_purposes_and_settings_without_effect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAFKA_SSL", "true")
    with elsewhere(CACHE_URL=os.environ["BROKER_URL"]):
        found = findings()
    assert found["two servers"].level is Level.WARN
    assert found["former settings"].sentence == "KAFKA_SSL is set and has no effect."


def test_the_doctor_blames_the_store_that_is_away_and_asks_on() -> None:
    with elsewhere(DATABASE_URL="postgresql://nobody:hunter2@127.0.0.1:9/none"):
        found = findings()
    assert found["database"].level is Level.FAIL
    assert found["queues"].level is Level.OK
    assert "workers" not in found
    assert "hunter2" not in str(found)


def test_the_doctor_speaks_json() -> None:
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", "--json", stdout=out)
    parsed = json.loads(out.getvalue())
    assert {"level", "subject", "sentence", "advice"} == set(parsed[0])


def test_the_doctor_asks_every_provider_for_its_chain_and_tells_no_key() -> None:
    with (
        LyingServer(GeneratedChain(), keep_secret="s3cr3tkey") as right,
        LyingServer(GeneratedChain(), keep_secret="s3cr3tkey") as wrong,
    ):
        wrong.lie(Lie.WRONG_CHAIN)
        with elsewhere(RPC_URL_LOCAL=f"{right.url},{wrong.url}", RPC_URL_REI=wrong.url):
            found = [each for each in doctor.examine() if each.subject.startswith("chain")]
    told = {(each.subject, each.level) for each in found}
    assert told == {
        ("chain local", Level.OK),
        ("chain local", Level.WARN),
        ("chain rei", Level.FAIL),
        ("chains", Level.OK),
    }
    assert "s3cr3tkey" not in str(found)
    assert any("1 of 2 answer as chain 31337" in each.sentence for each in found)
    assert any("id 31338, not 47805 (rei)" in each.sentence for each in found)
