"""What the gateway counts. Labels never hold users or addresses."""

from prometheus_client import Counter, Gauge, Histogram

relay_errors = Counter("moonx_relay_errors_total", "Database failures the relay waited out")
epochs = Counter("moonx_relay_epochs_total", "New epochs: subscribers start from snapshots")
bus_published = Counter("moonx_bus_published_total", "Events on the bus", ["key"])
bus_errors = Counter("moonx_bus_errors_total", "Failed attempts to publish on the bus")

connections = Gauge("moonx_ws_connections", "Open sockets", ["state"], multiprocess_mode="livesum")
connects = Counter("moonx_ws_connects_total", "Sockets asked for", ["result"])
auth = Counter("moonx_ws_auth_total", "Tokens shown on sockets", ["result"])
closes = Counter("moonx_ws_closes_total", "Closed sockets", ["code"])
subscriptions = Gauge(
    "moonx_ws_subscriptions", "Live subscriptions", ["ns"], multiprocess_mode="livesum"
)
messages_in = Counter("moonx_ws_messages_in_total", "Messages from clients", ["type"])
received = Counter("moonx_ws_published_total", "Frames taken from the push server", ["ns"])
delivered = Counter("moonx_ws_delivered_total", "Frames handed to sockets", ["ns"])
bytes_out = Counter("moonx_ws_bytes_out_total", "Characters sent to clients")
fanout = Histogram(
    "moonx_ws_fanout_seconds",
    "From a frame's receipt until every connection has it queued",
    buckets=(0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5),
)
reader_reconnects = Counter("moonx_ws_reader_reconnects_total", "Reconnects of the hub's reader")
hub_faults = Counter("moonx_ws_hub_faults_total", "Unexpected errors in the hub", ["where"])
gaps = Counter("moonx_ws_gaps_total", "Gaps seen by the hub", ["result"])
rate_limited = Counter("moonx_ws_rate_limited_total", "Refused by a limit", ["kind"])
sign_ins = Counter("moonx_sign_ins_total", "Sign-ins with a password", ["result"])
