"""Who works in the admin: staff, and staff that may only look."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client


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
