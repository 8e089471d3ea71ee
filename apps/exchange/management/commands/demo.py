"""manage.py demo: the demo's markets, the recorded day replayed live, and the demo traders."""

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError, connection

from apps.exchange.demo.recorded import read_day
from apps.exchange.demo.replay import Replay
from apps.exchange.demo.traders import Traders
from apps.exchange.history import ImportRefused
from moonx.core import clock, heartbeat, logs, metrics, startup

log = logs.get("moonx.demo")

LEAVE_S = 2.0  # for a request under way; whatever comes of it is in the database


class Command(BaseCommand):
    # `make check` runs them; here they would import every page at each start.
    requires_system_checks = ()
    help = (
        "Makes the demo's markets, replays recorded trades (DEMO_SPEED times as fast) and lets "
        "demo traders trade over HTTP at MOONX_PORT; a second one stands by."
    )

    def handle(self, *_: Any, **__: Any) -> None:
        startup.end_if_unsafe("demo")
        if settings.ENV.metrics_port:
            metrics.serve(settings.ENV.metrics_port)
        pulse = heartbeat.start("demo")
        stop, broken = threading.Event(), threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        traders = threading.Thread(
            target=_trade, args=(stop, broken), name="demo-traders", daemon=True
        )
        traders.start()
        try:
            day = read_day(now=clock.db_now())
            speed = settings.ENV.demo_speed
            Replay(day, speed=speed, stop=stop, alive=pulse.alive).run()
        except ImportRefused as error:
            raise CommandError(f"The demo's markets cannot be made. {error}") from None
        except (OperationalError, InterfaceError) as error:
            raise CommandError(f"The database does not answer: {error}") from None
        finally:
            stop.set()
            traders.join(LEAVE_S)
        if broken.is_set():
            raise CommandError("The demo traders broke down: see the line above.")
        log.info("demo ended")


def _trade(stop: threading.Event, broken: threading.Event) -> None:
    """Trades until `stop`; a fault nobody foresaw ends the process, which is started again."""
    try:
        Traders(f"http://127.0.0.1:{settings.ENV.moonx_port}", stop=stop).run()
    except Exception:  # a thread's fault would go unseen
        log.exception("demo traders broke down")
        broken.set()
        stop.set()
    finally:
        connection.close()
