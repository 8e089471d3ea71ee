"""The `system` channel: what an operator must look at."""

from collections.abc import Sequence

from moonx.core import topics
from moonx.core.models import PublishedEvent
from moonx.core.topics import Namespace

RECENT = 20  # alerts a new subscriber is shown


def register() -> None:
    """Makes `system` known to the gateway; it needs a token."""
    topics.register(
        Namespace(name="system", public=False, arity=0, check=_nothing, snapshot=_recent)
    )


def _nothing(_: Sequence[str]) -> None:
    """`system` takes no arguments."""


def _recent(_: Sequence[str]) -> topics.Snapshot:
    rows = PublishedEvent.objects.filter(name="system.alert").order_by("-position")[:RECENT]
    return [(row.name, row.payload) for row in reversed(rows)]
