"""A developer's machine: `make up` and `make dev`."""

from moonx.settings.base import *  # noqa: F403
from moonx.settings.base import ENV

SECRET_KEY = ENV.secret_key.get_secret_value() or "only-for-development-" + "x" * 40
IS_DEVELOPMENT = True
