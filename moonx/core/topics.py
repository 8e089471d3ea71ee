"""The channels a client may subscribe to; each app registers its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Snapshot = Sequence[tuple[str, dict[str, Any]]]


class UnknownTopic(Exception):
    """No channel of that name; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A family of channels, `name` or `name:arg:arg`.

    `check` raises UnknownTopic for arguments that name nothing; `check_many` is the same for many
    channels at once, where asking one by one would cost a query each. `snapshot` returns what a new
    subscriber must know, as (message type, data) pairs, oldest first; it may query the database.
    `canonical` names the channel that a datum of an alias belongs to.
    """

    name: str
    public: bool
    arity: int
    check: Callable[[Sequence[str]], None]
    snapshot: Callable[[Sequence[str]], Snapshot]
    canonical: Callable[[dict[str, Any]], str] | None = None
    check_many: Callable[[Sequence[Sequence[str]]], None] | None = None

    def channel(self, topic: str, data: dict[str, Any]) -> str:
        """The channel that frames of `data` carry."""
        return self.canonical(data) if self.canonical else topic


_namespaces: dict[str, Namespace] = {}


def register(namespace: Namespace) -> None:
    """Makes a family of channels known; once per process, from an app's start-up."""
    _namespaces[namespace.name] = namespace


def find(topic: str) -> tuple[Namespace, list[str]]:
    """The family and the arguments of a channel name.

    Raises UnknownTopic with a sentence for the client.
    """
    namespace, args = _parsed(topic)
    namespace.check(args)
    return namespace, args


def find_all(names: Sequence[str]) -> list[Namespace]:
    """The family of each channel name.

    Raises UnknownTopic for one that there is not, with a sentence for the client.
    """
    found = [_parsed(name) for name in names]
    families: dict[str, list[Sequence[str]]] = {}
    for namespace, args in found:
        families.setdefault(namespace.name, []).append(args)
    for name, many in families.items():
        _check_all(_namespaces[name], many)
    return [namespace for namespace, _ in found]


def _check_all(namespace: Namespace, many: Sequence[Sequence[str]]) -> None:
    if namespace.check_many is not None:
        namespace.check_many(many)
        return
    for args in many:
        namespace.check(args)


def _parsed(topic: str) -> tuple[Namespace, list[str]]:
    name, *args = topic.split(":")
    namespace = _namespaces.get(name)
    if namespace is None:
        known = ", ".join(sorted(_namespaces))
        raise UnknownTopic(f"There is no channel {topic[:80]!r}. Known families: {known}.")
    if len(args) != namespace.arity:
        raise UnknownTopic(f"Channel {name!r} takes {namespace.arity} arguments, not {len(args)}.")
    return namespace, args


def known() -> list[Namespace]:
    """Every registered family, by name."""
    return [_namespaces[name] for name in sorted(_namespaces)]
