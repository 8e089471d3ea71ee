"""manage.py backfill_activity: what it says, and how it ends."""

from collections.abc import Iterator
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from pydantic import SecretStr

from apps.stats.activity import scanning
from apps.stats.activity.source import Providers
from apps.stats.models import ActivityLeaf
from moonx.core import clock
from moonx.core.chains import registry
from moonx.core.chains.generated import GeneratedChain
from moonx.core.chains.lying import Lie, LyingServer
from moonx.core.chains.reader import Reader

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_valkey")]


@pytest.fixture
def server() -> Iterator[LyingServer]:
    """A node of the local chain, whose newest block was made two seconds ago."""
    now_s = round(clock.db_now().timestamp())
    chain = GeneratedChain(begins_s=now_s - 2 * 3600 - 2, block_time_ms=30_000, people=50)
    chain.mine(240)
    before = settings.ENV
    with LyingServer(chain) as found:
        settings.ENV = before.model_copy(update={"rpc_url_local": SecretStr(found.url)})
        yield found
    settings.ENV = before


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("backfill_activity", "--chain", *arguments, stdout=out)
    return out.getvalue().strip()


def scan() -> None:
    """The newest hour; what is older is left for the command."""
    scanning.scan("local", Providers(Reader.of(registry.find("local"))), now=clock.db_now())


def fails(*arguments: str) -> CommandError:
    with pytest.raises(CommandError) as failed:
        run(*arguments)
    return failed.value


def test_what_is_missing_is_told_and_then_filled_in_once(server: LyingServer) -> None:
    scan()
    known = ActivityLeaf.objects.count()
    assert "blocks are missing: 0 to " in run("local", "--dry-run")
    assert ActivityLeaf.objects.count() == known
    said = run("31337")
    assert said.startswith("Local node: 1")
    assert "filled in: 0 to " in said
    assert run("local") == "Local node: nothing is missing."


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("nowhere",), 1, "No chain is called 'nowhere'"),
        (("rei",), 1, "set RPC_URL_REI"),
        (("local", "--from", "2020-01-01"), 1, "kept since"),
    ],
)
def test_what_cannot_be_done_is_said(
    server: LyingServer, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    scan()
    error = fails(*arguments)
    assert sentence in str(error)
    assert error.returncode == code


def test_a_chain_without_a_scan_and_a_node_that_fails_are_said(server: LyingServer) -> None:
    assert "was not scanned yet" in str(fails("local"))
    scan()
    server.lie(Lie.WRONG_TYPES)
    error = fails("local")
    assert error.returncode == 75
    assert "run the same command again" in str(error)
