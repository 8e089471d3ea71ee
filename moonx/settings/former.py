"""Variables that users of the former services know, and what became of each."""

# former name -> own name that means the same
RENAMED = {
    "WEBSOCKET_SERVICE_PORT": "MOONX_PORT",
    "WEBSOCKET_SERVICE_HOST": "MOONX_HOST",
    "BASE_RPC_URL": "RPC_URL_BASE",
    "BSC_RPC_URL": "RPC_URL_BSC",
}

FORMER_ROLES = {
    "monolith": "monolith",
    "api": "web",
    "background": "background",
}

FORMER_WORKERS = {
    "ticker": "worker:tickers",
    "tickers": "worker:tickers",
    "candles": "worker:candles",
    "expiry": "worker:expiry",
    "deposits": "worker:deposits",
    "sync": "worker:sync",
    "stats": "worker:stats",
}

# former name -> why it has no effect and what to use instead
IGNORED = {
    "NODE_ENV": "set MOONX_ENV to dev, prod or test",
    "SERVICE_NAME": "the role names the service",
    "SERVICE_VERSION": "the version is read from the change log",
    "PORT": "set MOONX_PORT",
    "CLUSTER_MODE": "set WORKER_CONCURRENCY=auto",
    "CLUSTER_WORKERS": "set WORKER_CONCURRENCY",
    "MONGODB_URI": "everything is kept in PostgreSQL: set DATABASE_URL",
    "REDIS_RETRY_DELAY_ON_FAILOVER": "retries are built in",
    "REDIS_ENABLE_READY_CHECK": "the start-up check is not optional",
    "REDIS_MAX_RETRIES_PER_REQUEST": "retries are built in",
    "REDIS_LAZY_CONNECT": "connections are opened on first use",
    "REDIS_MAXMEMORY": "set it in the server's own configuration",
    "REDIS_MAXMEMORY_POLICY": "the broker must be noeviction; start is refused otherwise",
    "REDIS_APPENDONLY": "set it in the broker's own configuration",
    "KAFKA_CLIENT_ID": "the role names the connection",
    "KAFKA_CONSUMER_GROUP_ID": "consumers have queues, not groups",
    "KAFKA_SASL_MECHANISM": "part of EVENT_BUS_URL",
    "KAFKA_SASL_USERNAME": "part of EVENT_BUS_URL",
    "KAFKA_SASL_PASSWORD": "part of EVENT_BUS_URL",
    "KAFKA_SSL": "part of EVENT_BUS_URL",
    "KAFKA_RETRY_INITIAL_DELAY": "the bus tries again by itself, from the last position it sent",
    "KAFKA_RETRY_MAX_DELAY": "the bus tries again by itself, from the last position it sent",
    "KAFKA_RETRY_RETRIES": "the bus never gives up: it goes on from the last position it sent",
    "KAFKA_PRODUCER_MAX_IN_FLIGHT": "events are sent in the order of their positions",
    "KAFKA_PRODUCER_IDEMPOTENT": "an event sent twice carries the same id: readers drop the second",
    "KAFKA_PRODUCER_TRANSACTION_TIMEOUT": "an event is stored with its fact, not by the bus",
    "KAFKA_CONSUMER_FETCH_MAX_BYTES": "nothing is fetched in batches of bytes",
    "KAFKA_CONSUMER_MAX_PARTITION_FETCH_BYTES": "nothing is fetched in batches of bytes",
    "BINANCE_API_SECRET": "public prices need no signature",
    "DEXSCREENER_API_KEY": "that interface has no keys",
    "WS_HEARTBEAT_INTERVAL": "set WS_PING_INTERVAL",
}


def ignored_in(environment: dict[str, str]) -> dict[str, str]:
    """The former names that are set in `environment` without effect, each with what to do."""
    return {name: why for name, why in IGNORED.items() if name in environment}
