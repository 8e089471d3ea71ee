"""Every setting MoonX reads from its environment: one typed module, all faults named at once."""

import os
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import SettingsConfigDict

from moonx.settings import cron
from moonx.settings.former import FORMER_ROLES, FORMER_WORKERS, RENAMED
from moonx.settings.nodes import Nodes
from moonx.settings.outside import CommaList, Outside, split_commas

QUEUES = ("tickers", "candles", "matching", "expiry", "deposits", "sync", "stats")
PLAIN_ROLES = (
    *("monolith", "background", "web", "ws", "beat", "relay", "flower", "demo"),
    "simulator",
)
PLACEHOLDERS = {"your_strong_password", "changeme", "password"}


class BadSettings(Exception):
    """One or more settings cannot be used; the message names every one of them."""


class Env(Nodes, Outside):
    """The environment, parsed. Names are the variables' in lower case; units stand in the names."""

    model_config = SettingsConfigDict(
        case_sensitive=False, extra="ignore", frozen=True, env_ignore_empty=True
    )

    # Process
    moonx_home: Path = Field(Path(".moonx"), description="Where state, secrets and logs live.")
    moonx_port: int = Field(
        8000,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("moonx_port", "websocket_service_port"),
        description="Port of the page, the API and the WebSocket.",
    )
    moonx_host: str = Field(
        "127.0.0.1",
        validation_alias=AliasChoices("moonx_host", "websocket_service_host"),
        description="Address the web server listens on (the image sets 0.0.0.0).",
    )
    moonx_role: str = Field(
        "monolith",
        description="What `manage.py run` starts: monolith (all), background (all but web and "
        "flower), web, ws, worker:<queues>, beat, relay, flower or simulator. MODULES_SET and "
        "WORKER_TYPE are understood too.",
    )
    moonx_db_role: Literal["app", "owner"] = Field(
        "app", description="Database role of this process; `manage.py migrate` sets owner."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug adds one line per item. `warn` is understood."
    )
    worker_concurrency: int = Field(
        2, ge=1, le=64, description="Processes of a worker role, `auto` = one per core."
    )
    secret_key: SecretStr = Field(
        SecretStr(""), description="Django's key: at least 50 characters outside dev."
    )
    secret_key_fallbacks: SecretStr = Field(
        SecretStr(""),
        description="Former keys, comma separated: what they sealed (API keys' secrets) still "
        "opens.",
    )
    allowed_hosts: CommaList = Field(
        ("localhost", "127.0.0.1", "[::1]"), description="Host names served, comma separated."
    )
    allowed_origins: CommaList = Field(
        (),
        description="Further origins (scheme://host:port) whose pages may open the WebSocket.",
    )
    trusted_proxies: CommaList = Field(
        (), description="Addresses of proxies whose X-Forwarded-For is believed."
    )
    internal_networks: CommaList = Field(
        ("127.0.0.0/8", "::1/128"),
        description="Networks that may read /metrics and /connections without a staff login.",
    )

    # Stores
    database_url: SecretStr = Field(SecretStr(""), description="PostgreSQL, as the app role.")
    database_owner_url: SecretStr = Field(
        SecretStr(""), description="PostgreSQL, as the role that owns and migrates the schema."
    )
    database_direct_url: SecretStr = Field(
        SecretStr(""), description="PostgreSQL past any pooler, for session locks."
    )
    db_host: str = Field("", description="Used where DATABASE_URL is absent, like its siblings.")
    db_port: int = Field(5432, ge=1, le=65535, description="Port of PostgreSQL.")
    db_name: str = Field("moonx", description="Name of the database.")
    db_user: str = Field("moonx_app", description="The app role.")
    db_password: SecretStr = Field(SecretStr(""), description="Its password.")
    db_password_file: Path | None = Field(None, description="File that holds the password.")
    db_ssl: bool = Field(False, description="true asks for sslmode=require.")
    db_max_connections: int = Field(20, ge=1, description="Pool size of threaded roles.")
    db_min_connections: int = Field(1, ge=0, description="Connections a pool keeps open.")
    db_idle_timeout: int = Field(30_000, ge=1000, description="Pool's idle limit, ms.")
    broker_url: SecretStr = Field(
        SecretStr(""), description="Valkey or Redis for Celery: AOF on, policy noeviction."
    )
    cache_url: SecretStr = Field(
        SecretStr(""), description="Valkey or Redis for pushes: a second server, no persistence."
    )
    redis_url: SecretStr = Field(
        SecretStr(""), description="One server for both; doctor warns that they must be two."
    )
    redis_host: str = Field("", description="Builds BROKER_URL where it is absent.")
    redis_port: int = Field(6379, ge=1, le=65535, description="Its port.")
    redis_password: SecretStr = Field(SecretStr(""), description="Its password.")
    redis_db: int = Field(0, ge=0, description="Its database number.")
    redis_key_prefix: str = Field("moonx:", min_length=1, description="Prefix of every key.")
    redis_connect_timeout: int = Field(10_000, ge=100, description="Connect timeout, ms.")
    redis_command_timeout: int = Field(5_000, ge=100, description="Reply timeout, ms.")

    # Sign-in
    auth_service_url: str = Field(
        "", description="External auth service; unset = the embedded issuer."
    )
    auth_service_verify_endpoint: str = Field(
        "/api/v1/auth/verify", description="Its path that checks a bearer token."
    )
    access_token_ttl_s: int = Field(600, ge=30, le=3600, description="Life of an access token.")
    refresh_token_ttl_s: int = Field(
        604_800, ge=600, description="Life of a refresh token; each use replaces it."
    )
    anonymous_read: bool = Field(
        False, description="Public channels may be read without a token (the demo sets true)."
    )

    # Gateway
    rate_limit_enabled: bool = Field(True, description="false is refused in prod.")
    rate_limit_max_connections_per_ip: int = Field(
        100, ge=1, description="Sockets per address (IPv6: per /64)."
    )
    rate_limit_max_messages_per_minute: int = Field(
        120, ge=1, description="Messages a minute per connection and per user."
    )
    rate_limit_weight_per_minute: int = Field(
        6000,
        ge=1,
        description="Request weight a minute per address: /api/v3, /udf, keys and ledger together.",
    )
    rate_limit_orders_per_10s: int = Field(
        100, ge=1, description="Orders that a user may place in ten seconds."
    )
    rate_limit_orders_per_day: int = Field(
        200_000, ge=1, description="Orders that a user may place in a day."
    )
    ws_ping_interval: int = Field(30_000, ge=1000, description="Server ping, ms.")
    ws_pong_timeout: int = Field(10_000, ge=1000, description="Pong must come within, ms.")
    ws_max_connections: int = Field(10_000, ge=1, description="Sockets per process.")
    ws_auth_timeout_s: int = Field(10, ge=1, description="A token must come within.")

    # Calls to other servers
    worker_circuit_breaker_threshold: int = Field(
        5, ge=1, le=1000, description="Failures in a row that open a provider's circuit."
    )
    worker_circuit_breaker_timeout: int = Field(
        60_000,
        ge=1000,
        le=900_000,
        description="First wait of an open circuit, ms; it doubles up to 15 minutes.",
    )

    # Observability and bus
    prometheus_multiproc_dir: Path | None = Field(
        None, description="Directory shared by the processes of one host for metrics."
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="A worker, beat or relay serves its metrics here; 0 = off."
    )
    flower_port: int = Field(5555, ge=1, le=65535, description="Port of Flower.")
    flower_basic_auth: SecretStr = Field(
        SecretStr(""), description="user:password of Flower, which never starts without."
    )
    event_bus_url: SecretStr = Field(
        SecretStr(""), description="Broker of the topic exchange moonx.events; unset = off."
    )

    # Statistics
    default_chain: str = Field(
        "rei",
        pattern="^[a-z0-9]{1,20}$",
        description="The chain that `?chain=` means where it is not sent (the demo sets `local`).",
    )
    stats_collection_interval: str = Field(
        "",
        description="First calendar of stats.collect_all, as cron (`0 */5 * * * *`, or without the "
        "seconds); later the admin's counts.",
    )
    chain_performance_interval: str = Field(
        "", description="First calendar of stats.chain_performance, likewise."
    )
    bridge_latency_interval: str = Field(
        "", description="First calendar of stats.bridge_latency, likewise."
    )

    # Demo
    demo: bool = Field(True, description="`make up` starts with the demo; 0 = empty.")
    demo_speed: float = Field(1.0, gt=0, le=10_000, description="Pace of the replayed trades.")
    demo_password: SecretStr = Field(
        SecretStr(""), description="Fixes the passwords of admin, alice and bob."
    )

    @field_validator(
        "allowed_hosts", "allowed_origins", "trusted_proxies", "internal_networks", mode="before"
    )
    @classmethod
    def _split_commas(cls, value: object) -> object:
        return split_commas(value)

    @field_validator("log_level", mode="before")
    @classmethod
    def _warn_is_warning(cls, value: object) -> object:
        lowered = value.lower() if isinstance(value, str) else value
        return "warning" if lowered == "warn" else lowered

    @field_validator("worker_concurrency", mode="before")
    @classmethod
    def _auto_is_one_per_core(cls, value: object) -> object:
        return os.cpu_count() or 1 if value == "auto" else value

    @field_validator(
        "stats_collection_interval", "chain_performance_interval", "bridge_latency_interval"
    )
    @classmethod
    def _calendar(cls, value: str) -> str:
        return cron.five_fields(value) if value else ""

    @field_validator("db_password")
    @classmethod
    def _no_placeholder(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value().lower() in PLACEHOLDERS:
            raise ValueError("is a placeholder: set the real password")
        return value

    @field_validator("moonx_role")
    @classmethod
    def _known_role(cls, value: str) -> str:
        queues = value.removeprefix("worker:").split(",")
        if value in PLAIN_ROLES or (value.startswith("worker:") and set(queues) <= set(QUEUES)):
            return value
        raise ValueError(
            f"must be one of {', '.join(PLAIN_ROLES)} or worker:<queues> with queues out of "
            f"{', '.join(QUEUES)}"
        )

    @model_validator(mode="before")
    @classmethod
    def _translate_roles(cls, values: dict[str, Any]) -> dict[str, Any]:
        if "moonx_role" in values:
            return values
        modules, worker = os.environ.get("MODULES_SET"), os.environ.get("WORKER_TYPE")
        if worker in FORMER_WORKERS:
            return {**values, "moonx_role": FORMER_WORKERS[worker]}
        if modules in FORMER_ROLES:
            return {**values, "moonx_role": FORMER_ROLES[modules]}
        return values

    @model_validator(mode="after")
    def _no_contradictions(self) -> Self:
        faults = [*_disagreeing_names(), *self._disagreeing_stores()]
        if os.environ.get("KAFKA_BROKERS") and not self.event_bus_url.get_secret_value():
            faults.append("KAFKA_BROKERS is set but nothing reads it: set EVENT_BUS_URL instead")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _disagreeing_stores(self) -> list[str]:
        given = os.environ
        url = self.database_url.get_secret_value()
        if url and given.get("DB_HOST") and given["DB_HOST"] not in url:
            return ["DATABASE_URL and DB_HOST name different servers: keep one of them"]
        return []

    def database_dsn(self) -> str:
        """The connection string of this process's role; empty where nothing is configured."""
        if self.moonx_db_role == "owner" and self.database_owner_url.get_secret_value():
            return self.database_owner_url.get_secret_value()
        return self.database_url.get_secret_value() or self._dsn_from_parts()

    def direct_dsn(self) -> str:
        """The connection string for session locks: past a pooler where one is configured."""
        return self.database_direct_url.get_secret_value() or self.database_dsn()

    def _dsn_from_parts(self) -> str:
        if not self.db_host:
            return ""
        password = self.db_password.get_secret_value()
        if self.db_password_file:
            password = self.db_password_file.read_text().strip()
        mode = "?sslmode=require" if self.db_ssl else ""
        login = f"{quote(self.db_user, safe='')}:{quote(password, safe='')}"
        return f"postgresql://{login}@{self.db_host}:{self.db_port}/{self.db_name}{mode}"

    def broker_dsn(self) -> str:
        """Where Celery's messages go."""
        return (
            self.broker_url.get_secret_value()
            or self.redis_url.get_secret_value()
            or self._redis_from_parts()
        )

    def cache_dsn(self) -> str:
        """Where pushes go."""
        return (
            self.cache_url.get_secret_value()
            or self.redis_url.get_secret_value()
            or (self._redis_from_parts())
        )

    def _redis_from_parts(self) -> str:
        if not self.redis_host:
            return ""
        login = quote(self.redis_password.get_secret_value(), safe="")
        server = f"{self.redis_host}:{self.redis_port}/{self.redis_db}"
        return f"redis://:{login}@{server}" if login else f"redis://{server}"


def _disagreeing_names() -> list[str]:
    """Own and former names that are both set, to different values."""
    return [
        f"{own} and {former} are both set and differ: keep {own}"
        for former, own in RENAMED.items()
        if os.environ.get(own) and os.environ.get(former) and os.environ[own] != os.environ[former]
    ]


def load(**overrides: Any) -> Env:
    """The parsed environment.

    Raises BadSettings with one line per variable that cannot be used.
    """
    try:
        return Env(**overrides)
    except ValidationError as error:
        lines = [_sentence(detail) for detail in error.errors(include_url=False)]
        raise BadSettings("Settings that cannot be used:\n  " + "\n  ".join(lines)) from None


def _sentence(detail: Any) -> str:
    name = str(detail["loc"][0]).upper() if detail["loc"] else ""
    text = str(detail["msg"]).removeprefix("Value error, ")
    return f"{name}: {text}" if name else text
