"""The README's table of settings and `.env.example`, generated from the typed settings.

`python -m moonx.settings.docs` writes both; with `--check` it only says whether they are current.
"""

import re
import sys
from pathlib import Path
from typing import get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from moonx.settings.env import Env
from moonx.settings.former import IGNORED, RENAMED

ROOT = Path(__file__).resolve().parent.parent.parent
BEGIN, END = "<!-- settings: begin (generated) -->", "<!-- settings: end -->"
EXAMPLE_HEAD = """\
# Every setting with its default. Copy to .env, uncomment what differs. Generated: `make fix`.
"""


def rows() -> list[tuple[str, str, str]]:
    """Each setting as (variable, default, meaning), in the order of the source."""
    return [
        (name.upper(), default_of(field), field.description or "")
        for name, field in Env.model_fields.items()
    ]


def default_of(field: FieldInfo) -> str:
    """The default as the variable would spell it; empty where there is none."""
    value = field.default
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)


def choices_of(field: FieldInfo) -> str:
    """The permitted words of a setting that is one of a few, else empty."""
    words = [word for word in get_args(field.annotation) if isinstance(word, str)]
    return f" One of {', '.join(words)}." if words else ""


def readme_section() -> str:
    """The tables between the README's two markers."""
    fields = list(Env.model_fields.values())
    lines = ["", "| variable | default | meaning |", "| --- | --- | --- |"]
    for (name, default, meaning), field in zip(rows(), fields, strict=True):
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{name}` | {shown} | {meaning}{choices_of(field)} |")
    lines += ["", "Names of the former services:", "", "| variable | now |", "| --- | --- |"]
    lines += [f"| `{former}` | means `{own}` |" for former, own in RENAMED.items()]
    lines += [f"| `{former}` | ignored: {why} |" for former, why in IGNORED.items()]
    return "\n".join([*lines, ""])


def example() -> str:
    """The text of `.env.example`."""
    blocks = [f"# {meaning}\n#{name}={default}\n" for name, default, meaning in rows()]
    return "\n".join([EXAMPLE_HEAD, *blocks])


def with_section(readme: str) -> str:
    """`readme` with the current tables between its markers."""
    found = re.compile(f"(?<={re.escape(BEGIN)}).*?(?={re.escape(END)})", re.DOTALL)
    if not found.search(readme):
        raise ValueError(f"README.md has lost the markers {BEGIN} and {END}")
    return found.sub(lambda _: f"\n{readme_section()}\n", readme)


def stale() -> list[str]:
    """The files that no longer say what the settings are."""
    readme, env = ROOT / "README.md", ROOT / ".env.example"
    current = {readme: with_section(readme.read_text()), env: example()}
    return [
        path.name for path, text in current.items() if not path.exists() or path.read_text() != text
    ]


def main() -> int:
    """Writes both files, or checks them; the exit code."""
    if "--check" in sys.argv[1:]:
        behind = stale()
        if behind:
            print(f"{' and '.join(behind)}: settings changed; run `make fix`", file=sys.stderr)
        return 1 if behind else 0
    readme = ROOT / "README.md"
    readme.write_text(with_section(readme.read_text()))
    (ROOT / ".env.example").write_text(example())
    return 0


if __name__ == "__main__":
    sys.exit(main())
