"""The channel `book:SYMBOL`."""

from collections.abc import Sequence

from apps.exchange import watch
from apps.exchange.book.levels import SHOWN, depth, described
from moonx.core import topics
from moonx.core.topics import Namespace


def register() -> None:
    """Makes the channel known to the gateway."""
    topics.register(
        Namespace(
            name="book",
            public=True,
            arity=1,
            check=lambda args: watch.check_markets([args]),
            check_many=watch.check_markets,
            snapshot=_snapshot,
        )
    )


def _snapshot(args: Sequence[str]) -> topics.Snapshot:
    market = watch.market_of(args[0])
    return [("book.updated", described(market, depth(market, SHOWN)))]
