"""The channels a client may subscribe to; each app registers its own.

A client names a channel, the server publishes on topics. The two are spelled alike but for what is
a user's own: what user 42 hears as `orders@me` is the topic `orders@42`, which no client can name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Snapshot = Sequence[tuple[str, dict[str, Any]]]

OWN = "@me"


class UnknownTopic(Exception):
    """No channel of that name; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A family of channels, `name` or `name:arg:arg`; a name that ends in `@me` is each user's own.

    `check` raises UnknownTopic for arguments that name nothing; `check_many` is the same for many
    channels at once, where asking one by one would cost a query each. `snapshot` returns what a new
    subscriber must know, as (message type, data) pairs, oldest first; it may query the database.
    The one argument of an own family's snapshot is its owner's id.

    `canonical` names the channel that a datum of an alias belongs to. An alias of own channels has
    no topic: it hears `alias_of`, and `retell` says each message, (type, data), in its own words.
    """

    name: str
    public: bool
    arity: int
    check: Callable[[Sequence[str]], None]
    snapshot: Callable[[Sequence[str]], Snapshot]
    canonical: Callable[[dict[str, Any]], str] | None = None
    check_many: Callable[[Sequence[Sequence[str]]], None] | None = None
    alias_of: str = ""
    retell: Callable[[str, dict[str, Any]], tuple[str, dict[str, Any]]] | None = None

    def channel(self, topic: str, data: dict[str, Any]) -> str:
        """The channel that frames of `data` carry."""
        return self.canonical(data) if self.canonical else channel_of(topic)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a channel is heard: its topic and, for one that is an alias, who retells it."""

    topic: str
    alias: str = ""


_namespaces: dict[tuple[str, int], Namespace] = {}


def register(namespace: Namespace) -> None:
    """Makes a family of channels known; once per process, from an app's start-up."""
    _namespaces[namespace.name, namespace.arity] = namespace


def forget(name: str) -> None:
    """Undoes `register` for every family of that name."""
    for key in [key for key in _namespaces if key[0] == name]:
        del _namespaces[key]


def find(channel: str) -> tuple[Namespace, list[str]]:
    """The family and the arguments of a channel name.

    Raises UnknownTopic with a sentence for the client.
    """
    namespace, args = _parsed(channel)
    namespace.check(args)
    return namespace, args


def find_all(names: Sequence[str]) -> list[Namespace]:
    """The family of each channel name.

    Raises UnknownTopic for one that there is not, with a sentence for the client.
    """
    found = [_parsed(name) for name in names]
    families: dict[tuple[str, int], list[Sequence[str]]] = {}
    for namespace, args in found:
        families.setdefault((namespace.name, namespace.arity), []).append(args)
    for family, many in families.items():
        _check_all(_namespaces[family], many)
    return [namespace for namespace, _ in found]


def _check_all(namespace: Namespace, many: Sequence[Sequence[str]]) -> None:
    if namespace.check_many is not None:
        namespace.check_many(many)
        return
    for args in many:
        namespace.check(args)


def _parsed(channel: str) -> tuple[Namespace, list[str]]:
    name, *args = channel.split(":")
    namespace = _namespaces.get((name, len(args)))
    if namespace is not None:
        return namespace, args
    arities = sorted(arity for known, arity in _namespaces if known == name)
    if not arities:
        known = ", ".join(sorted({name for name, _ in _namespaces}))
        raise UnknownTopic(f"There is no channel {channel[:80]!r}. Known families: {known}.")
    takes = " or ".join(map(str, arities))
    raise UnknownTopic(f"Channel {name!r} takes {takes} arguments, not {len(args)}.")


def is_own(namespace: Namespace) -> bool:
    """Whether the family's channels are each user's own."""
    return namespace.name.endswith(OWN) or namespace.alias_of.endswith(OWN)


def route(channel: str, namespace: Namespace, *, owner: int | None) -> Route:
    """Where the user `owner` hears a channel of that family.

    Raises ValueError for an own channel without an owner.
    """
    if not is_own(namespace):
        return Route(channel)
    if owner is None:
        raise ValueError(f"{channel} is nobody's")
    if namespace.alias_of:
        return Route(topic_of(namespace.alias_of, owner=owner), alias=namespace.name)
    return Route(topic_of(channel, owner=owner))


def topic_of(channel: str, *, owner: int) -> str:
    """The topic of an own channel: orders@me → orders@42."""
    return f"{channel.removesuffix(OWN)}@{owner}"


def channel_of(topic: str) -> str:
    """What a topic is to its subscribers: orders@42 → orders@me."""
    name, at, _ = topic.partition("@")
    return name + OWN if at else topic


def owner_of(topic: str) -> int | None:
    """Whose own a topic is; None for one that is nobody's."""
    _, at, owner = topic.partition("@")
    return int(owner) if at else None


def snapshot(route: Route) -> list[tuple[str, dict[str, Any], str]]:
    """What a new subscriber must know, as (message type, data, channel), oldest first.

    Raises UnknownTopic where what it names is gone.
    """
    owner = owner_of(route.topic)
    namespace, args = find(channel_of(route.topic))
    rows = namespace.snapshot(args if owner is None else [str(owner)])
    retell = _retelling(route.alias)
    told = [retell(name, data) if retell else (name, data) for name, data in rows]
    return [(name, data, namespace.channel(route.topic, data)) for name, data in told]


def retold(alias: str, name: str, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A message, (type, data), in the words of an alias."""
    retell = _retelling(alias)
    return retell(name, data) if retell else (name, data)


def _retelling(alias: str) -> Callable[[str, dict[str, Any]], tuple[str, dict[str, Any]]] | None:
    return _namespaces[alias, 0].retell if alias else None


def known() -> list[Namespace]:
    """Every registered family, by name."""
    return [_namespaces[family] for family in sorted(_namespaces)]
