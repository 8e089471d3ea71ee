"""The kill test: a live market under replay, everything struck in turn, nothing lost or doubled."""

import itertools
import random
import time
from dataclasses import dataclass, field

from apps.realtime.audit import Recorder, Stretch, judge
from benchmarks.harness import percentile
from chaos import plan, rows, watchers
from chaos.stack import Stack
from chaos.verdict import Verdict, say
from chaos.watchers import Browser, CommitClock, Heard, Page
from moonx.core import valkey
from moonx.up.process import wait_until

FULL_N = 30  # faults, some four seconds apart: two minutes
SYMBOL = "XRPRETH"
CHANNEL = f"trades:{SYMBOL}"
PATHS = ("/", f"/api/v3/klines?symbol={SYMBOL}&interval=1m&limit=5")
TRADES_PER_S = 50  # that the replay makes at least, while it runs
TRADES_PER_FAULT = 100  # a run in which fewer happened has shown little
SETTLE_S = 90.0
LONGEST_SILENCE_S = 60.0  # without an answer of the page or of its API


@dataclass(slots=True)
class Run:
    """What a run did and saw."""

    struck_s: list[float] = field(default_factory=list)
    recoveries_s: list[float] = field(default_factory=list)
    lasted_s: float = 0.0
    more: dict[str, object] = field(default_factory=dict)

    @property
    def recovery_p99_s(self) -> float | None:
        """The time without page or trades that all but one in a hundred faults stayed under."""
        return round(percentile(self.recoveries_s, 0.99), 2) if self.recoveries_s else None


def watch(stack: Stack, dsn: str, found: Verdict, *, n: int, seed: int) -> Run:
    """Strikes `n` times while everybody looks on, lets it settle, and adds up what was found."""
    run = Run()
    with (
        Recorder(valkey.client()) as recorder,
        Browser(stack.port, CHANNEL) as browser,
        Page(stack.port, PATHS) as page,
        CommitClock(dsn) as clock,
    ):
        found.hold(int(not _lively(browser)), "replay that did not begin within a minute")
        began_s = time.monotonic()
        run.struck_s = strike(stack, n=n, seed=seed)
        found.hold(int(not settle(browser, page)), "stack that did not settle")
        run.lasted_s = time.monotonic() - began_s
        stand_still(stack, dsn, recorder)
    rows.check(dsn, found)
    hold_frames(found, recorder.stretches, dsn)
    hold_browser(found, browser.heard)
    found.hold(clock.early, f"frames of {clock.looked:,} looked at that were not committed yet")
    _add_up(run, found, browser=browser, page=page, dsn=dsn)
    run.more["epochs"] = len({stretch.epoch for stretch in recorder.stretches})
    stack.thaw("demo")
    return run


def strike(stack: Stack, *, n: int, seed: int) -> list[float]:
    """Does what the seed's plan says; when each fault that hit something struck."""
    rng, struck_s = random.Random(seed), []
    for number, fault in enumerate(plan.plan(seed=seed, count=n), start=1):
        time.sleep(fault.pause_s)
        # What was struck before may still be down: the blow waits for it.
        hit = wait_until(lambda f=fault: stack.strike(f, rng), timeout_s=20, pause_s=0.2)  # type: ignore[misc]
        say(f"{number} of {n}: {fault}{'' if hit else ' (was not running)'}")
        if hit:
            struck_s.append(time.monotonic())
    return struck_s


def settle(browser: Browser, page: Page) -> bool:
    """Whether page and trades went on for five seconds, within the time."""
    say("no more faults: waiting until it has settled")
    since_s = time.monotonic()

    def calm() -> bool:
        now = time.monotonic()
        recent = [one for one in browser.heard if one.at_s > max(since_s, now - 5)]
        answers = [moment for moment in page.good_s if moment > max(since_s, now - 5)]
        return now - since_s > 5 and len(recent) > 5 * TRADES_PER_S / 4 and len(answers) > 10

    return wait_until(calm, timeout_s=SETTLE_S, pause_s=0.5)


def stand_still(stack: Stack, dsn: str, recorder: Recorder) -> None:
    """Stops the replay between two trades, and waits until all that happened has been published."""
    stack.freeze("demo")
    time.sleep(1)
    wait_until(lambda: not rows.waiting(dsn), timeout_s=30, pause_s=0.2)
    wait_until(lambda: recorder.last_position() >= rows.position(dsn), timeout_s=20, pause_s=0.2)
    time.sleep(1)


def hold_frames(found: Verdict, stretches: list[Stretch], dsn: str) -> None:
    """What the raw observer saw, held against the numbered events."""
    events = rows.numbered(dsn)
    seen = judge(stretches, events=events)
    count = sum(len(stretch.facts) for stretch in stretches)
    words = f"of {count:,} frames in {len(stretches)} stretches"
    found.hold(len(seen.doubled), f"doubled {words}", kind="doubled")
    found.hold(len(seen.lost), f"lost {words}", kind="lost")
    found.hold(len(seen.inverted), f"out of order {words}")
    found.hold(len(seen.phantom), f"never numbered {words}")
    last = max((fact.position for stretch in stretches for fact in stretch.facts), default=0)
    told = [place for place, event in events.items() if event.topics]
    found.hold(
        max(0, max(told, default=0) - last), "positions not published in the end", kind="lost"
    )


def hold_browser(found: Verdict, heard: list[Heard]) -> None:
    """What a browser saw: gaps only where it connected or started anew."""
    found.hold(watchers.gaps(heard), f"gaps of {len(heard):,} frames in a browser", kind="lost")
    found.hold(watchers.heard_twice(heard), "frames twice in an epoch in a browser", kind="doubled")
    found.hold(watchers.backwards(heard), "frames out of order in a browser")


def _lively(browser: Browser) -> bool:
    return wait_until(lambda: len(browser.heard) > 50, timeout_s=60, pause_s=0.2)


def _add_up(run: Run, found: Verdict, *, browser: Browser, page: Page, dsn: str) -> None:
    trades = rows.live_trades(dsn)
    heard_s = [one.at_s for one in browser.heard]
    down_s = sum(b - a for a, b in itertools.pairwise(heard_s) if b - a > 1)
    pace = trades / max(1.0, run.lasted_s - down_s)
    found.hold(int(pace < TRADES_PER_S), f"{trades:,} live trades, {pace:.0f} a second, too few")
    least = TRADES_PER_FAULT * len(run.struck_s)
    found.hold(int(trades < least), f"{trades:,} live trades, fewer than {least:,}")
    silences = [
        watchers.silences_s(run.struck_s, signs, end_s=signs[-1] if signs else time.monotonic())
        for signs in (heard_s, page.good_s)
    ]
    too_long = [one for one in silences[1] if one > LONGEST_SILENCE_S]
    found.hold(len(too_long), f"silences of the page over {LONGEST_SILENCE_S:.0f} s")
    run.recoveries_s = [max(pair) for pair in zip(*silences, strict=True)]
    run.more |= {
        "trades": trades,
        "tradesPerS": round(pace, 1),
        "positions": rows.position(dsn),
        "frames": len(browser.heard),
        "reconnects": browser.connects - 1,
        "apiAnswered": round(len(page.good_s) / max(1, page.asked), 3),
        "apiDownMaxS": round(max(silences[1], default=0.0), 2),
    }
