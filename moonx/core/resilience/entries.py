"""What becomes of a call that asks to pass, and of a probe that ends. Pure."""

from enum import StrEnum


class Entry(StrEnum):
    """What became of a call that asked to pass."""

    IN = "in"
    ALONE = "alone"  # in, as far as a process knows that cannot reach Valkey
    STALE = "stale"  # the circuit was in another era than the caller believed
    HELD = "held"  # open by an operator's word
    WAIT = "wait"
    BUSY = "busy"  # as many calls are in flight as may be
    RAMP = "ramp"


class Finish(StrEnum):
    """What became of a probe's outcome."""

    STALE = "stale"  # its era or its lease was over
    MORE = "more"
    ENOUGH = "enough"
    FAILED = "failed"
