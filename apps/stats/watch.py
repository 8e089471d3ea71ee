"""What subscribers of statistics see: snapshots for newcomers of what is told."""

from collections.abc import Sequence

from apps.stats import publishing
from moonx.core import topics
from moonx.core.events import StatsBridgeLatencyUpdated
from moonx.core.topics import Namespace


def register() -> None:
    """Makes the channels of statistics known to the gateway."""
    _register_bridges()


def _register_bridges() -> None:
    topics.register(
        Namespace(
            name="bridges", public=True, arity=0, check=_check_nothing, snapshot=_bridges_snapshot
        )
    )


def _check_nothing(_: Sequence[str]) -> None:
    """A channel without arguments is always one."""


def _bridges_snapshot(_: Sequence[str]) -> topics.Snapshot:
    rows = publishing.newest("bridge:")
    return [(StatsBridgeLatencyUpdated.name, rows[subject].payload) for subject in sorted(rows)]
