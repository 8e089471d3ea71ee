"""What docker-compose.yml says, as values: its services, variables filled in as compose does."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
UNITS_S = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service; `probe` is the command of its health check."""

    name: str
    image: str
    command: list[str]
    environment: dict[str, str]
    probe: list[str]
    stop_grace_s: int
    raw: dict[str, Any]

    @property
    def is_ours(self) -> bool:
        """Whether it runs MoonX's own image."""
        return "build" in self.raw


def load(variables: Mapping[str, str]) -> dict[str, Service]:
    """Every service by name; KeyError names a variable that must be given and is not."""
    found = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return {name: _service(name, raw, variables) for name, raw in found["services"].items()}


def _service(name: str, raw: dict[str, Any], variables: Mapping[str, str]) -> Service:
    filled = _filled(raw, variables)
    return Service(
        name=name,
        image=filled["image"],
        command=list(filled.get("command", [])),
        environment={key: str(value) for key, value in filled.get("environment", {}).items()},
        probe=list(filled.get("healthcheck", {}).get("test", [])),
        stop_grace_s=_seconds(filled.get("stop_grace_period", "10s")),
        raw=filled,
    )


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    match value:
        case str():
            return interpolated(value, variables)
        case dict():
            return {key: _filled(item, variables) for key, item in value.items()}
        case list():
            return [_filled(item, variables) for item in value]
    return value


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """`text` with ${NAME:-default} and ${NAME:?why} replaced, and $$ as a dollar."""

    def replaced(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name, operator, rest = match[1], match[2], match[3]
        if variables.get(name):
            return variables[name]
        if operator == ":-":
            return rest
        raise KeyError(f"{name}: {rest}")

    return re.sub(r"\$\$|\$\{(\w+)(?:(:[-?])([^}]*))?\}", replaced, text)


def _seconds(text: str) -> int:
    return int(text[:-1]) * UNITS_S[text[-1]]
