"""Bodies that the outside services' own documentation gives, or that were recorded."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


def raw(name: str) -> bytes:
    """The example of that name, as it would come over the wire."""
    return (DATA / f"{name}.json").read_bytes()


def body(name: str) -> Any:
    """The example of that name, as our own reading of JSON has it: fractions are Decimal."""
    return json.loads(raw(name), parse_float=Decimal)
