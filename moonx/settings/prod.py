"""Production: nothing unsafe starts."""

from moonx.settings.base import *  # noqa: F403
from moonx.settings.base import ENV
from moonx.settings.env import BadSettings

_faults = []
if len(ENV.secret_key.get_secret_value()) < 50:
    _faults.append("SECRET_KEY: must have at least 50 random characters")
if not ENV.rate_limit_enabled:
    _faults.append("RATE_LIMIT_ENABLED: must stay true in production")
if not ENV.database_dsn():
    _faults.append("DATABASE_URL: must name the database")
if not ENV.broker_dsn():
    _faults.append("BROKER_URL: must name the message broker")
if not ENV.cache_dsn():
    _faults.append("CACHE_URL: must name the push server")
if _faults:
    raise BadSettings("Settings that cannot be used:\n  " + "\n  ".join(_faults))

SECURE_SSL_REDIRECT = False
# The proxy in front redirects; whether browsers preload a domain is for its owner to say.
SILENCED_SYSTEM_CHECKS = ["security.W008", "security.W021"]
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENV.trusted_proxies else None
SERVESTATIC_USE_FINDERS = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"},
}
