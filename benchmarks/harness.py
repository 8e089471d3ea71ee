"""What benchmarks share: interleaved rounds, figures as JSON lines, a headline that sums them."""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import IO

Work = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured claim, printed as one JSON line.

    `ratio` is how many times dearer the peer is; `at_most` makes the goal an upper bound. A figure
    without a goal is printed and not held.
    """

    name: str
    ratio: float | None
    goal: float | None
    rounds: int
    peer: str
    ok: bool
    ours_ms: float | None = None
    peer_ms: float | None = None
    at_most: bool = False
    note: str = ""
    more: Mapping[str, float | int | str] = field(default_factory=dict)

    def line(self) -> str:
        """The figure as JSON; other fields without a value are left out."""
        found = {k: v for k, v in asdict(self).items() if k != "more"} | dict(self.more)
        if not self.at_most:
            del found["at_most"]
        kept = ("ratio", "goal", "peer")
        return json.dumps({k: v for k, v in found.items() if k in kept or v not in (None, "")})


def reaches(ratio: float, goal: float, *, at_most: bool) -> bool:
    """Whether the ratio keeps its bound."""
    return ratio <= goal if at_most else ratio >= goal


@dataclass(frozen=True, slots=True)
class Rounds:
    """Milliseconds of each contender, round by round, in the same order."""

    times_ms: Mapping[str, Sequence[float]]

    @property
    def count(self) -> int:
        """How many rounds there were."""
        return len(next(iter(self.times_ms.values())))

    def median_ms(self, name: str) -> float:
        """The contender's median time."""
        return statistics.median(self.times_ms[name])

    def ratio(self, dearer: str, cheaper: str, *, scale: float = 1.0) -> float:
        """The median of the rounds' own ratios: a slow moment of the machine hits both sides."""
        pairs = zip(self.times_ms[dearer], self.times_ms[cheaper], strict=True)
        return statistics.median(scale * a / b for a, b in pairs)


class Bench:
    """Collects the figures of one benchmark and prints them as they come."""

    def __init__(self, name: str, *, rounds: int = 5, out: IO[str] = sys.stdout) -> None:
        self.name = name
        self.rounds = rounds
        self.figures: list[Figure] = []
        self.faults: list[str] = []
        self._out = out
        self._started_s = time.monotonic()

    def say(self, sentence: str) -> None:
        """Tells the person who waits what is going on."""
        elapsed_s = time.monotonic() - self._started_s
        print(f"[{self.name} {elapsed_s:6.1f} s] {sentence}", file=sys.stderr, flush=True)

    def check(self, holds: bool, sentence: str) -> None:
        """A correctness check: where it does not hold the headline is not ok."""
        self.say(f"{'right' if holds else 'WRONG'}: {sentence}")
        if not holds:
            self.faults.append(sentence)

    def interleave(self, contenders: Mapping[str, Work], *, before: Work = list) -> Rounds:
        """Times every contender once per round; the order turns around from round to round.

        `before` is done before each of them and not timed.
        """
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range(self.rounds):
            names = list(contenders)
            for name in names if number % 2 == 0 else reversed(names):
                before()
                times[name].append(elapsed_ms(contenders[name]))
            latest = ", ".join(f"{name} {spent[-1]:,.1f} ms" for name, spent in times.items())
            self.say(f"round {number + 1} of {self.rounds}: {latest}")
        return Rounds(times)

    def add(self, figure: Figure) -> Figure:
        """Prints a figure and keeps it for the headline."""
        self.figures.append(figure)
        print(figure.line(), file=self._out, flush=True)
        return figure

    def compare(
        self,
        name: str,
        rounds: Rounds,
        *,
        ours: str,
        peer: str,
        described: str,
        goal: float | None,
        scale: float = 1.0,
        note: str = "",
        more: Mapping[str, float | int | str] | None = None,
    ) -> Figure:
        """Adds the figure of a contender against its peer, whose time is multiplied by `scale`."""
        ratio = rounds.ratio(peer, ours, scale=scale)
        return self.add(
            Figure(
                name=name,
                ratio=round(ratio, 2),
                goal=goal,
                rounds=rounds.count,
                peer=described,
                ok=goal is None or reaches(ratio, goal, at_most=False),
                ours_ms=round(rounds.median_ms(ours), 3),
                peer_ms=round(rounds.median_ms(peer) * scale, 3),
                note=note,
                more=more or {},
            )
        )

    def headline(self) -> bool:
        """Prints the first figure under the bench's name, `ok` over all; returns that."""
        first = self.figures[0]
        ok = not self.faults and all(figure.ok for figure in self.figures)
        missed = [figure.name for figure in self.figures if not figure.ok]
        words = [f"missed: {', '.join(missed)}"] if missed else []
        words += [f"wrong: {'; '.join(self.faults)}"] if self.faults else []
        found = {**asdict(first), "name": self.name, "ok": ok, "note": ". ".join(words)}
        print(Figure(**found).line(), file=self._out, flush=True)
        return ok


def elapsed_ms(work: Work) -> float:
    """How long one call takes."""
    started_s = time.perf_counter()
    work()
    return (time.perf_counter() - started_s) * 1000


def load() -> str:
    """How busy the machine is: figures in milliseconds mean little without it."""
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, int(-(-share * len(ordered) // 1)) - 1))]
