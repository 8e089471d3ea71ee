"""What subscribers of statistics see: snapshots for newcomers of what is told."""

from collections.abc import Sequence

from apps.stats import overview, publishing
from apps.stats.activity import telling as activity_telling
from apps.stats.chains import telling
from moonx.core import topics
from moonx.core.chains import registry
from moonx.core.chains.models import Chain
from moonx.core.chains.registry import UnknownChain
from moonx.core.events import StatsBridgeLatencyUpdated, StatsOverviewUpdated
from moonx.core.topics import Namespace, UnknownTopic


def register() -> None:
    """Makes the channels of statistics known to the gateway."""
    _register_activity()
    _register_bridges()
    _register_chains()
    _register_overview()


def _register_activity() -> None:
    topics.register(
        Namespace(
            name="activity",
            public=True,
            arity=1,
            check=_check_chain,
            snapshot=lambda args: activity_telling.snapshot(_chain_of(args)),
        )
    )


def _register_bridges() -> None:
    topics.register(
        Namespace(
            name="bridges", public=True, arity=0, check=_check_nothing, snapshot=_bridges_snapshot
        )
    )


def _register_chains() -> None:
    topics.register(
        Namespace(name="chain", public=True, arity=1, check=_check_chain, snapshot=_chain_snapshot)
    )


def _register_overview() -> None:
    topics.register(
        Namespace(
            name="overview", public=True, arity=0, check=_check_nothing, snapshot=_overview_snapshot
        )
    )


def _check_chain(args: Sequence[str]) -> None:
    _chain_of(args)


def _chain_of(args: Sequence[str]) -> Chain:
    """The chain of an id, which is how channels name chains; raises UnknownTopic without one."""
    try:
        chain = registry.find(args[0])
    except UnknownChain as error:
        raise UnknownTopic(str(error)) from None
    if args[0] != str(chain.chain_id):
        raise UnknownTopic(f"Channels name {chain} by its id: {chain.chain_id}.")
    return chain


def _chain_snapshot(args: Sequence[str]) -> topics.Snapshot:
    return telling.snapshot(_chain_of(args))


def _overview_snapshot(_: Sequence[str]) -> topics.Snapshot:
    rows = publishing.newest(overview.SUBJECT)
    return [(StatsOverviewUpdated.name, row.payload) for row in rows.values()]


def _check_nothing(_: Sequence[str]) -> None:
    """A channel without arguments is always one."""


def _bridges_snapshot(_: Sequence[str]) -> topics.Snapshot:
    rows = publishing.newest("bridge:")
    return [(StatsBridgeLatencyUpdated.name, rows[subject].payload) for subject in sorted(rows)]
