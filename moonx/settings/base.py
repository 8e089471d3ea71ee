"""Settings shared by every environment; values come from the typed environment."""

import os
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from moonx.settings import env
from moonx.settings.console import UNFOLD  # noqa: F401 - a setting

BASE_DIR = Path(__file__).resolve().parent.parent.parent
ENV = env.load()
HOME = ENV.moonx_home if ENV.moonx_home.is_absolute() else BASE_DIR / ENV.moonx_home

DEBUG = False
IS_DEVELOPMENT = False
CHECK_DURABILITY = True
SECRET_KEY = ENV.secret_key.get_secret_value()
SECRET_KEY_FALLBACKS = [
    key for key in ENV.secret_key_fallbacks.get_secret_value().split(",") if key
]
ALLOWED_HOSTS = list(ENV.allowed_hosts)
ROOT_URLCONF = "moonx.urls"
LOGIN_URL = LOGIN_REDIRECT_URL = "/admin/"
ASGI_APPLICATION = "moonx.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = ["moonx.settings.formats"]

INSTALLED_APPS = [
    "moonx.core",
    "moonx.admin",
    "unfold",
    "unfold.contrib.filters",
    # Without its search for admin modules: moonx/urls.py does it, so only web pays for them.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "channels",
    "csp",
    "axes",
    "ninja",
    "apps.exchange",
    "apps.realtime",
    "apps.stats",
    "apps.sync",
    "moonx.up",
]

MIDDLEWARE = [
    "moonx.core.http.CorrelationMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "DIRS": [],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AXES_FAILURE_LIMIT = 10  # 10 wrong passwords for one user from one address lock that pair
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static_root"
SERVESTATIC_USE_FINDERS = True
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ["/admin/"],
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}


def database(dsn: str, *, pooled: bool) -> dict[str, Any]:
    """Django's description of the server behind a libpq `dsn`.

    `pooled` is for threaded roles; prefork workers keep one connection per process instead
    (Celery closes a pool at every task boundary).
    """
    parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    options: dict[str, Any] = {
        key: parts[key] for key in parts.keys() - {"dbname", "user", "password", "host", "port"}
    }
    if pooled:
        options["pool"] = {
            "min_size": ENV.db_min_connections,
            "max_size": max(ENV.db_max_connections, ENV.db_min_connections),
            "max_idle": ENV.db_idle_timeout / 1000,
            "timeout": 10,
        }
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.get("dbname", ""),
        "USER": parts.get("user", ""),
        "PASSWORD": parts.get("password", ""),
        "HOST": parts.get("host", ""),
        "PORT": parts.get("port", ""),
        "OPTIONS": options,
        "CONN_HEALTH_CHECKS": True,
        "CONN_MAX_AGE": 0 if pooled else 60,
        "DISABLE_SERVER_SIDE_CURSORS": True,
    }


POOLED_ROLES = {"web", "ws", "worker:stats,sync", "worker:sync", "worker:stats"}
DATABASES = {"default": database(ENV.database_dsn(), pooled=ENV.moonx_role in POOLED_ROLES)}

CELERY_BROKER_URL = ENV.broker_dsn()
CELERY_BEAT_SCHEDULER = "moonx.beat:Scheduler"
# Celery ignores CONN_MAX_AGE; this keeps a connection for so many tasks (its own setting).
CELERY_DB_REUSE_MAX = None if ENV.moonx_role in POOLED_ROLES else 500

LOGGING_CONFIG = "moonx.core.logs.configure"
LOGGING = {"level": ENV.log_level, "service": os.environ.get("MOONX_SERVICE", ENV.moonx_role)}
