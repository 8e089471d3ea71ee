"""Connections to the push server (the cache Valkey) and to the broker."""

from functools import cache
from typing import Any

import redis
from django.conf import settings
from redis.backoff import ExponentialWithJitterBackoff
from redis.client import PubSub
from redis.retry import Retry


def key(name: str) -> str:
    """`name` under this installation's prefix."""
    return f"{settings.ENV.redis_key_prefix}{name}"


@cache
def client() -> redis.Redis:
    """The process's connection pool to the push server; replies are bytes."""
    return connect(settings.ENV.cache_dsn())


def connect(url: str, *, at_most_ms: int | None = None, **options: Any) -> redis.Redis:
    """A client for `url` with the configured timeouts, or shorter ones, and no retry of its own.

    A retried script whose first reply was lost would run twice; callers check by position or
    version instead.
    """
    connect_ms, reply_ms = settings.ENV.redis_connect_timeout, settings.ENV.redis_command_timeout
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=min(connect_ms, at_most_ms or connect_ms) / 1000,
        socket_timeout=min(reply_ms, at_most_ms or reply_ms) / 1000,
        health_check_interval=15,
        retry=Retry(ExponentialWithJitterBackoff(), 0),
        **options,
    )


def pubsub(connection: redis.Redis) -> PubSub:
    """A subscriber on a connection of its own; it also sees the server's confirmations."""
    subscriber: PubSub = connection.pubsub()  # type: ignore[no-untyped-call]
    return subscriber
