"""Tests: real stores started by the test plugin, everything else as in dev."""

from moonx.settings.base import *  # noqa: F403

SECRET_KEY = "only-for-tests-" + "x" * 40
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["*"]
IS_DEVELOPMENT = True
CHECK_DURABILITY = False  # the tests' PostgreSQL is thrown away
