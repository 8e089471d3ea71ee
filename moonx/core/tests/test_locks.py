"""Advisory locks against a second connection."""

import os

import psycopg
import pytest
from django.db import transaction

from moonx.core import locks
from moonx.core.locks import Lock, LockBusy

pytestmark = pytest.mark.usefixtures("committed_db")


def test_a_lock_outside_a_transaction_is_refused() -> None:
    with pytest.raises(RuntimeError, match="released at once"):
        locks.hold(Lock.MARKET, 1)


def test_a_held_lock_is_skipped_and_waiting_for_it_ends_in_a_sentence() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s, %s)", [Lock.MARKET, 1])
        with transaction.atomic():
            assert not locks.try_hold(Lock.MARKET, 1)
            assert locks.try_hold(Lock.MARKET, 2)
        with (
            pytest.raises(LockBusy, match="MARKET 1 was held for over 50 ms"),
            transaction.atomic(),
        ):
            locks.hold(Lock.MARKET, 1, wait_ms=50)


def test_shared_holders_do_not_exclude_each_other() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as other, transaction.atomic():
        other.execute("SELECT pg_advisory_xact_lock_shared(%s, 0)", [Lock.CANDLE_FOLD])
        locks.hold(Lock.CANDLE_FOLD, shared=True, wait_ms=50)


def test_a_lock_is_free_as_soon_as_its_holder_is_gone() -> None:
    other = psycopg.connect(os.environ["DATABASE_URL"])
    other.execute("SELECT pg_advisory_lock(%s, 3)", [Lock.MARKET])
    other.close()
    with transaction.atomic():
        locks.hold(Lock.MARKET, 3, wait_ms=2000)
