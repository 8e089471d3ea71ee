"""manage.py demo: the demo's markets, and the recorded day replayed live."""

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError

from apps.exchange.demo.recorded import read_day
from apps.exchange.demo.replay import Replay
from apps.exchange.history import ImportRefused
from moonx.core import clock, heartbeat, logs, metrics, startup

log = logs.get("moonx.demo")


class Command(BaseCommand):
    # `make check` runs them; here they would import every page at each start.
    requires_system_checks = ()
    help = (
        "Makes the demo's markets and replays recorded trades (DEMO_SPEED times as fast); "
        "a second one stands by."
    )

    def handle(self, *_: Any, **__: Any) -> None:
        startup.end_if_unsafe("demo")
        if settings.ENV.metrics_port:
            metrics.serve(settings.ENV.metrics_port)
        pulse = heartbeat.start("demo")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        try:
            day = read_day(now=clock.db_now())
            speed = settings.ENV.demo_speed
            Replay(day, speed=speed, stop=stop, alive=pulse.alive).run()
        except ImportRefused as error:
            raise CommandError(f"The demo's markets cannot be made. {error}") from None
        except (OperationalError, InterfaceError) as error:
            raise CommandError(f"The database does not answer: {error}") from None
        log.info("demo ended")
