"""Who works in the admin: staff, and staff that may only look; and an end for what waits."""

import time
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from apps.exchange import watch
from apps.exchange.book import pushing


@pytest.fixture(autouse=True)
def _no_push_waits_for_the_next_test() -> Iterator[None]:
    """Markets of the next test have the same keys: a push that waits would pass for theirs."""
    yield
    for later in (pushing.later, watch._later):
        until_s = time.monotonic() + 5
        while later._due and time.monotonic() < until_s:
            time.sleep(0.005)


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ops"))
    return client


@pytest.fixture
def reader() -> Client:
    """Staff that may see everything of the exchange and change nothing."""
    user = User.objects.create_user("reader", is_staff=True)
    rights = Permission.objects.filter(codename__startswith="view_")
    user.user_permissions.set(rights)
    client = Client()
    client.force_login(user)
    return client
