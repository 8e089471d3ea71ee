"""Every setting is documented where it is looked for, and every documented one is read."""

import re
from pathlib import Path

from moonx.core.upstream.endpoints import SOURCES
from moonx.settings import docs
from moonx.settings.env import Env

ROOT = Path(__file__).resolve().parent.parent


def test_the_readme_and_the_example_name_every_setting_as_it_is() -> None:
    assert docs.stale() == [], "run `make fix`"


def test_a_changed_default_is_noticed() -> None:
    readme = (ROOT / "README.md").read_text()
    old = readme.replace("| `MOONX_PORT` | `8000` |", "| `MOONX_PORT` | `3008` |")
    assert old != readme
    assert docs.with_section(old) == readme


def test_each_setting_says_what_it_does() -> None:
    assert [name for name, field in Env.model_fields.items() if not field.description] == []


def named_by_services() -> set[str]:
    """The settings that the table of outside services names."""
    told = [(one.address, one.timeout, one.key) for one in SOURCES.values()]
    return {name for names in told for name in names if name}


def test_outside_services_name_settings_that_there_are() -> None:
    assert named_by_services() - Env.model_fields.keys() == set()


def test_no_setting_is_without_effect() -> None:
    named = named_by_services()
    sources = [
        path.read_text()
        for folder in ("moonx", "apps")
        for path in (ROOT / folder).rglob("*.py")
        if "tests" not in path.parts
    ]
    unread = [
        name
        for name in Env.model_fields
        if name not in named
        and not any(re.search(rf"\b(?:env|ENV|self|settings)\.{name}\b", text) for text in sources)
    ]
    assert unread == []
