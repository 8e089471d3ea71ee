"""The scripts by a clock that a test sets, in place of the server's own."""

from moonx.core import valkey
from moonx.core.resilience import scripts

START_US = 1_795_435_200_000_000
SET_CLOCK = """
local set = ARGV[#ARGV]
local t = {string.sub(set, 1, -7), string.sub(set, -6)}
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function text(number) return string.format('%.0f', number) end
"""


def at(script: str, keys: list[str], *args: object, now_us: int) -> list[object]:
    """A script's answer at a moment in us."""
    text = script.replace(scripts.NOW, SET_CLOCK)
    assert text != script
    said = valkey.client().eval(text, len(keys), *keys, *map(str, args), now_us)
    return list(said or [])
