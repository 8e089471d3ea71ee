"""How long a child that died waits before it is started again: a pure rule."""

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
# A child that ran this long was well: its next death is a first one again.
GOOD_WHILE_S = 10.0
# A child that dies this often before it was ever ready will not become ready.
STARTS_BEFORE_GIVING_UP = 3


def next_pause_s(*, previous_s: float, ran_s: float) -> float:
    """Seconds to wait after a death: doubling, from the start again after a good while."""
    if ran_s >= GOOD_WHILE_S or previous_s <= 0:
        return FIRST_PAUSE_S
    return min(previous_s * 2, LONGEST_PAUSE_S)
