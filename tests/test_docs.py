"""What the documents say exists: commands, paths, channels, files, metrics, the version."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands, load_command_class
from django.test import Client
from django.urls import Resolver404, resolve

from benchmarks import __main__ as benchmarks
from chaos import __main__ as chaos
from moonx.core import topics
from moonx.core.version import CHANGELOG, version
from moonx.roles import command_for
from moonx.schedule import known_tasks
from moonx.settings import env
from moonx.settings.env import QUEUES, Env

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    ROOT / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "docs/architecture.md",
        "docs/operations.md",
    )
]
# Served by the gateway, which is asked by its own tests.
SOCKETS = {"/ws"}


def text() -> str:
    return "\n".join(path.read_text() for path in DOCUMENTS)


def code() -> Iterator[str]:
    """Every piece of code in the documents: `inline`, and each line of a block."""
    everything = text()
    for block in re.findall(r"^```\w*\n(.*?)^```", everything, re.DOTALL | re.MULTILINE):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", everything)


def commands_of(program: str) -> set[str]:
    """The first words that follow `program` in the documents' code."""
    return {match[1] for piece in code() for match in re.finditer(rf"{program} ([\w-]+)", piece)}


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = commands_of(r"\bmake")
    assert {"up", "test", "check"} <= named
    assert named - targets == set()


def test_every_make_target_for_people_is_documented() -> None:
    offered = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert offered - commands_of(r"\bmake") == {"help"}


def test_every_bench_and_fault_run_that_is_named_exists() -> None:
    for program, known in (("bench", benchmarks.NAMES), ("chaos", chaos.NAMES)):
        named = set(re.findall(rf"make {program} NAME=([\w-]+)", text()))
        assert named
        assert named - set(known) == set()


def test_every_management_command_that_is_named_exists() -> None:
    named = commands_of(r"manage\.py")
    assert "doctor" in named
    assert named - set(get_commands()) == set()


def test_our_management_commands_explain_themselves() -> None:
    ours = {
        name: str(app)
        for name, app in get_commands().items()
        if str(app).startswith(("moonx", "apps"))
    }
    for name, app in ours.items():
        assert len(str(load_command_class(app, name).help)) > 20, name


def paths() -> list[str]:
    """The paths of the README's HTTP table."""
    table = (ROOT / "README.md").read_text().partition("## HTTP")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [path for cell in rows for path in re.findall(r"`(/[^`]*)`", cell)]


def test_every_documented_path_leads_somewhere() -> None:
    assert len(paths()) > 20
    for path in paths():
        try:
            resolve(path)
        except Resolver404:
            pytest.fail(f"the README names {path}, and nothing answers there")


@pytest.mark.django_db
@pytest.mark.usefixtures("clean_valkey")
@pytest.mark.parametrize("path", ["/", "/docs", "/docs/http", "/docs/ws", "/openapi.json"])
def test_the_pages_of_the_readme_are_served(path: str) -> None:
    assert Client().get(path).status_code == 200


def test_every_documented_channel_exists_and_the_other_way_round() -> None:
    table = (ROOT / "README.md").read_text().partition("| channel |")[2].partition("\n\n")[0]
    documented = set(re.findall(r"^\| `([a-z]+(?:@me)?)", table, re.MULTILINE))
    assert documented == {namespace.name for namespace in topics.known()}


def test_every_link_and_picture_leads_to_a_file() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name} → {target}"


def test_every_module_that_the_architecture_names_exists() -> None:
    tree = (ROOT / "docs/architecture.md").read_text().split("```")[1]
    named = re.findall(r"\b[a-z_]+\.py\b", tree)
    assert "schedule.py" in named
    for name in named:
        places = [*(ROOT / "moonx").rglob(name), *(ROOT / "apps").rglob(name)]
        assert places or (ROOT / name).exists(), name


def test_every_metric_that_is_named_is_measured() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "moonx").rglob("*.py"))
    for name in re.findall(r"`((?:moonx|events)_\w+)`", text()):
        assert f'"{name}"' in sources or name in {"moonx_owner", "moonx_app"}, name


def test_every_metric_of_an_alert_is_measured() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "moonx").rglob("*.py"))
    rules = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert len(alerts) >= 4
    for alert in alerts:
        named = re.findall(r"\bmoonx_\w+", alert["expr"])
        assert named
        for name in named:
            assert f'"{name}"' in sources, (alert["alert"], name)
        assert {"summary", "action"} <= set(alert["annotations"])


def test_every_task_that_is_named_is_in_the_schedule() -> None:
    for name in re.findall(r"run_task ([\w.]+)", text()):
        assert name == "NAME" or name in known_tasks(), name


def test_every_variable_that_is_named_is_read() -> None:
    known = {name.upper() for name in Env.model_fields}
    beside = {"ARGS", "NAME", "N", "SEED", "MOONX_ENV"}
    documented = set(re.findall(r"\b([A-Z][A-Z0-9_]+)=", (ROOT / "README.md").read_text()))
    assert documented - known - beside == set()


@pytest.mark.parametrize(
    "role", ["web", "ws", f"worker:{','.join(QUEUES)}", "beat", "relay", "flower"]
)
def test_every_documented_role_has_a_command(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_BASIC_AUTH", "admin:secret")
    command = command_for(role, env.load())
    assert "secret" not in shlex.join(command)


def test_the_version_is_that_of_the_change_log() -> None:
    assert f"\n## {version()}" in CHANGELOG.read_text()
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.django_db
@pytest.mark.usefixtures("clean_valkey")
def test_the_interface_documents_carry_the_version() -> None:
    assert Client().get("/openapi.json").json()["info"]["version"] == version()
