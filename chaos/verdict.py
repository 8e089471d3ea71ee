"""What a run found, and the one line that says it."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Verdict:
    """Counts of what must not be; the sentences say what was found."""

    lost: int = 0
    doubled: int = 0
    violations: int = 0
    sentences: list[str] = field(default_factory=list)

    def hold(self, found: int, sentence: str, *, kind: str = "violations") -> None:
        """Counts `found` under `kind` (lost, doubled or violations); nothing where it is zero."""
        say(f"{'right' if not found else 'WRONG'}: {sentence}: {found}")
        if found:
            setattr(self, kind, getattr(self, kind) + found)
            self.sentences.append(f"{sentence}: {found}")

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not (self.lost or self.doubled or self.violations)


def say(sentence: str) -> None:
    """Tells the person who waits what is going on."""
    print(f"chaos| {sentence}", file=sys.stderr, flush=True)


def line(
    name: str,
    verdict: Verdict,
    *,
    n: int,
    recovery_p99_s: float | None,
    more: Mapping[str, object],
    ok: bool | None = None,
) -> str:
    """The run's one JSON object."""
    return json.dumps(
        {
            "name": name,
            "n": n,
            "lost": verdict.lost,
            "doubled": verdict.doubled,
            "violations": verdict.violations,
            "recovery_p99_s": recovery_p99_s,
            "ok": verdict.ok if ok is None else ok,
            **more,
        }
    )
