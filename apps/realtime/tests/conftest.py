"""Fixtures of this app's tests."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from apps.realtime import hub, registry
from apps.realtime.tests.support import new_epoch
from moonx.core import tokens, topics
from moonx.core.topics import Namespace, UnknownTopic

Configure = Callable[..., None]


@pytest.fixture
def configure() -> Iterator[Configure]:
    """Changes settings for one test: `configure(anonymous_read=True)`."""
    before = settings.ENV

    def change(**values: Any) -> None:
        settings.ENV = settings.ENV.model_copy(update=values)

    yield change
    settings.ENV = before


@pytest.fixture
def epoch(clean_valkey: None) -> str:
    """The push server as a relay at position 0 leaves it; returns the epoch."""
    return new_epoch()


@pytest.fixture
async def gateway(committed_db: None, epoch: str) -> AsyncIterator[None]:
    """Room for sockets on this test's event loop."""
    yield
    await registry.close_current()
    await hub.close_current()


@pytest.fixture
def alice(committed_db: None) -> User:
    """A user with the password `correct horse`."""
    return User.objects.create_user("alice", "alice@example.com", "correct horse")


@pytest.fixture
def alices_token(alice: User) -> str:
    """An access token of alice's."""
    return tokens.issuer().issue(subject=str(alice.pk), session="", ttl_s=600)


@pytest.fixture
def news() -> Iterator[list[dict[str, Any]]]:
    """Channels `news:<anything>` (public) and `secrets` (not); the list is the snapshot."""
    rows: list[dict[str, Any]] = [{"n": 0}]

    def check(args: Any) -> None:
        if args and args[0] == "none":
            raise UnknownTopic("There are no such news.")

    def snapshot(_: Any) -> topics.Snapshot:
        return [("news.told", dict(row)) for row in rows]

    for name, public, arity in (("news", True, 1), ("secrets", False, 0)):
        topics.register(
            Namespace(name=name, public=public, arity=arity, check=check, snapshot=snapshot)
        )
    yield rows
    topics.forget("news")
    topics.forget("secrets")
