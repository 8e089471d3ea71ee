"""`manage.py relay`: numbers committed events and publishes them."""

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.realtime import bus, relay
from moonx.core import heartbeat, logs, metrics, startup, valkey

log = logs.get("moonx.relay")


class Command(BaseCommand):
    # `make check` runs them; here they would import every page at each start.
    requires_system_checks = ()
    help = "Numbers committed events and publishes them; a second one stands by."

    def handle(self, **_: Any) -> None:
        """Runs until TERM or INT."""
        startup.end_if_unsafe("relay")
        if settings.ENV.metrics_port:
            metrics.serve(settings.ENV.metrics_port)
        pulse = heartbeat.start("relay")
        stop, moved = threading.Event(), threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        dsn = settings.ENV.direct_dsn()
        url = settings.ENV.event_bus_url.get_secret_value()
        reader = bus.start(dsn=dsn, url=url, stop=stop, moved=moved)
        relay.run(
            dsn=dsn,
            client=valkey.client(),
            stop=stop,
            moved=moved.set,
            alive=pulse.alive,
        )
        if reader is not None:
            reader.join(timeout=5)
        log.info("relay ended")
