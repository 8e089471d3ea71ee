"""The embedded stores, really started."""

import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from moonx.up.stores import Stores

# They share a home, one after the other.
pytestmark = pytest.mark.xdist_group("stores")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """One home for the module, its path longer than a socket's may be."""
    base = Path(tempfile.mkdtemp(prefix="moonx-"))
    yield base / ("a long name " * 9)
    shutil.rmtree(base)


def test_durable_stores_keep_what_they_were_told(home: Path) -> None:
    with Stores(home) as stores:
        with psycopg.connect(stores.owner_url) as owner:
            owner.execute("CREATE TABLE IF NOT EXISTS kept ()")
        redis.Redis.from_url(stores.broker_url).set("kept", "yes")
        redis.Redis.from_url(stores.cache_url).set("lost", "yes")
    with Stores(home) as stores:
        with psycopg.connect(stores.owner_url) as owner:
            assert owner.execute("SELECT count(*) FROM kept").fetchone() == (0,)
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                assert owner.execute(f"SHOW {name}").fetchone() == ("on",)
        broker = redis.Redis.from_url(stores.broker_url)
        cache = redis.Redis.from_url(stores.cache_url)
        assert broker.get("kept") == b"yes"
        assert cache.get("lost") is None
        assert broker.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert cache.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-lru"}


def test_the_role_that_runs_may_not_change_the_schema(home: Path) -> None:
    with (
        Stores(home) as stores,
        psycopg.connect(stores.database_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE mine ()")


def test_stores_are_closed_to_others(home: Path) -> None:
    with Stores(home) as stores:
        assert stat.S_IMODE(stores.postgres.socket_dir.stat().st_mode) == 0o700
        assert stat.S_IMODE(stores.postgres.data.stat().st_mode) == 0o700
        assert stat.S_IMODE((stores.broker.data / "valkey.conf").stat().st_mode) == 0o600
        stranger = redis.Redis(port=stores.broker.port)
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()
        stranger.close()
    assert not stores.postgres.socket_dir.exists()


def test_a_cluster_that_was_half_made_is_made_anew(home: Path) -> None:
    shutil.rmtree(home / "postgres")
    (home / "postgres.new").mkdir()
    (home / "postgres.new" / "PG_VERSION").write_text("18")
    with Stores(home, durable=False) as stores, psycopg.connect(stores.database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
