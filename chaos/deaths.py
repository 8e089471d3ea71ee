"""Deaths at every statement of trading and of market data: after each, the next sweep must leave
the scene as it would be had nobody died, or as if the request had never been made."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.exchange.ledger import reconcile
from benchmarks.harness import percentile
from chaos import failpoints, trading_rows
from chaos.failpoints import Failpoint
from chaos.market_scenes import MARKET_SCENES
from chaos.nursery import Nursery
from chaos.scenes import SCENES, Scene, set_up
from chaos.stages import Stage
from chaos.verdict import Verdict, say

Print = list[tuple[Any, ...]]
ALL: Mapping[str, Scene] = {**SCENES, **MARKET_SCENES}


@dataclass(slots=True)
class Deaths:
    """How many, at which statements, and how long each sweep took that put things right."""

    count: int = 0
    statements: dict[str, int] = field(default_factory=dict)
    missed: int = 0
    swept_s: list[float] = field(default_factory=list)

    @property
    def recovery_p99_s(self) -> float | None:
        """What all but one in a hundred sweeps took at most."""
        return round(percentile(self.swept_s, 0.99), 3) if self.swept_s else None


@dataclass(slots=True, kw_only=True)
class Judge:
    """Looks at one scene's stage after each death."""

    scene: Scene
    found: Verdict
    deaths: Deaths
    stage: Stage | None = None
    before: Print = field(default_factory=list)
    idle: Print = field(default_factory=list)
    after: Print = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def arrange(self) -> Mapping[str, Any]:
        """A fresh stage; what a first one adds up to is kept, before and after a sweep alone."""
        if not self.before:
            untouched, _ = set_up(self.scene)
            self.before = untouched.fingerprint()
            self.scene.finish()
            self.idle = untouched.fingerprint()
        self.stage, arguments = set_up(self.scene)
        return arguments

    def judge(self, _: Mapping[str, Any], failpoint: Failpoint | None) -> None:
        """After the dry run: keeps what it led to. After a death: sweeps, and compares."""
        assert self.stage is not None
        began_s = time.monotonic()
        self.scene.finish()
        self.deaths.swept_s.append(time.monotonic() - began_s)
        stands = self.stage.fingerprint()
        if failpoint is None:
            self.after = stands
            self.found.hold(int(stands == self.before), f"steps “{self.scene.step}” without effect")
            return
        # What was asked for may come to nothing, but not after it has been committed.
        may_be_undone = self.scene.is_request and stands == self.idle and not failpoint.is_late
        if stands != self.after and not may_be_undone:
            self.wrong.append(f"died {failpoint}: {_unlike(stands, self.after)}")


def run(
    nursery: Nursery, *, names: Mapping[str, Scene] = ALL, every: int = 1
) -> tuple[Verdict, Deaths]:
    """Every scene, a death at each of its statements, or at every so many of them."""
    found, deaths = Verdict(), Deaths()
    for name, scene in names.items():
        judge = Judge(scene=scene, found=found, deaths=deaths)
        done = failpoints.everywhere(
            nursery,
            f"chaos.steps:{scene.step}",
            arrange=judge.arrange,
            judge=judge.judge,
            every=every,
        )
        deaths.count += len(done.struck)
        deaths.missed += len(done.missed)
        deaths.statements[name] = len(done.statements)
        for text in judge.wrong[:3]:
            say(text)
        found.hold(len(judge.wrong), f"of {len(done.struck)} deaths while {name}")
    _hold_rows(found)
    found.hold(deaths.missed, "places at which nobody died")
    return found, deaths


def _hold_rows(found: Verdict) -> None:
    trading_rows.check(os.environ["DATABASE_URL"], found)
    report = reconcile.check_all(from_genesis=True, acts=False)
    for one in report.broken:
        found.hold(one.rows, f"reconcile: {one.invariant.name}")
    found.hold(len(report.broken), f"invariants broken of the {len(report.checked)} of reconcile")


def _unlike(stands: Print, wanted: Print) -> str:
    """The first lines that differ."""
    more = [line for line in stands if line not in wanted][:2]
    less = [line for line in wanted if line not in stands][:2]
    return f"too much {more}, missing {less}, {len(stands)} of {len(wanted)} lines"
