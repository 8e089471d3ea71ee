"""The heart of the spine alone: writers, a relay and an observer, killed many times in seconds."""

import os
import random
import time
from decimal import Decimal

from apps.exchange.models import Asset, Market
from apps.realtime.audit import Recorder
from chaos import rows
from chaos.bugs import TELLTALE, Bug
from chaos.emptied import empty
from chaos.nursery import Nursery
from chaos.spine import hold_frames
from chaos.verdict import Verdict, say
from chaos.watchers import CommitClock
from moonx.core import valkey
from moonx.up.process import wait_until

SYMBOLS = ("AAAQQQ", "BBBQQQ")
RELAY = "relay"
KILLS = 6
SHORTEST_S, LONGEST_S = 0.25, 0.5


def run(nursery: Nursery, bug: Bug, *, seed: int, kills: int = KILLS) -> Verdict:
    """What is found after so many kills of the parts that the bug is in, or of all of them.

    The database and the push server must be empty.
    """
    dsn, found, rng = os.environ["DATABASE_URL"], Verdict(), random.Random(seed)
    _make_markets()
    with Recorder(valkey.client()) as recorder, CommitClock(dsn) as clock:
        children = {name: _start(nursery, name, bug) for name in (RELAY, *SYMBOLS)}
        begun = wait_until(lambda: recorder.last_position() > 10, timeout_s=30)
        found.hold(int(not begun), "writers and relay that did not begin")
        for _ in range(kills):
            time.sleep(rng.uniform(SHORTEST_S, LONGEST_S))
            name = rng.choice(_victims(bug))
            nursery.kill(children[name])
            children[name] = _start(nursery, name, bug)
        time.sleep(LONGEST_S)
        for symbol in SYMBOLS:
            nursery.kill(children[symbol])
        _settle(recorder, dsn)
        nursery.kill(children[RELAY])
    rows.check(dsn, found)
    hold_frames(found, recorder.stretches, dsn)
    found.hold(clock.early, f"frames of {clock.looked:,} looked at that were not committed yet")
    return found


def run_all(nursery: Nursery, *, seed: int, kills: int) -> tuple[Verdict, dict[str, bool]]:
    """What is found in the product as it is, and which of the seeded bugs are found."""
    empty()
    say(f"the product as it is, {kills} kills")
    sound = run(nursery, Bug.NONE, seed=seed, kills=kills)
    caught = {}
    for bug, telltale in TELLTALE.items():
        empty()
        say(f"seeded bug {bug}: something must be WRONG")
        found = run(nursery, bug, seed=seed, kills=kills)
        caught[bug.value] = any(telltale in sentence for sentence in found.sentences)
    return sound, caught


def _make_markets() -> None:
    quote = Asset.objects.create(symbol="QQQ", name="Quote")
    for symbol in SYMBOLS:
        base = Asset.objects.create(symbol=symbol[:3], name=symbol[:3])
        steps = {"tick_size": Decimal("0.01"), "step_size": Decimal(1)}
        Market.objects.create(symbol=symbol, base=base, quote=quote, **steps)


def _start(nursery: Nursery, name: str, bug: Bug) -> int:
    if name == RELAY:
        return nursery.start("chaos.children:relays", bug=bug.value)
    return nursery.start("chaos.children:writes", symbol=name, bug=bug.value)


def _victims(bug: Bug) -> tuple[str, ...]:
    if bug is Bug.NONE:
        return (RELAY, *SYMBOLS)
    return (RELAY,) if bug.is_relays else SYMBOLS


def _settle(recorder: Recorder, dsn: str) -> None:
    """Waits until the relay has taken and published everything, as far as it does."""
    wait_until(lambda: not rows.waiting(dsn), timeout_s=15, pause_s=0.05)
    wait_until(lambda: recorder.last_position() >= rows.position(dsn), timeout_s=5, pause_s=0.05)
    time.sleep(0.3)
