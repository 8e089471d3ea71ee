"""What each process does at its start: refuse what is unsafe, serve metrics, beat."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

from celery import Celery, bootsteps
from celery.signals import beat_init, worker_init
from django.conf import settings

from moonx.core import heartbeat, metrics, startup
from moonx.core.heartbeat import Pulse

TICK_S = 2.0

Application = Callable[[Any, Any, Any], Awaitable[None]]


class LoopPulse(bootsteps.StartStopStep):
    """Beats while the consumer's event loop turns: a step of it, so it starts anew with each
    connection to the broker and pauses while there is none."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    _pulse: Pulse | None = None
    _timer: Any = None

    def include_if(self, _consumer: Any) -> bool:
        """Only where this process is a worker by its role, not in tests that embed one."""
        return is_worker()

    def start(self, consumer: Any) -> None:
        if self._pulse is None:
            self._pulse = heartbeat.start(settings.ENV.moonx_role)
        self._pulse.resume()
        self._timer = consumer.timer.call_repeatedly(TICK_S, self._pulse.alive)

    def stop(self, _consumer: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._pulse is not None:
            self._pulse.pause()


def is_worker() -> bool:
    """Whether this process was started as a worker."""
    return bool(settings.ENV.moonx_role.startswith("worker:"))


def install(app: Celery) -> None:
    """Hooks all this into the Celery application."""
    app.steps["consumer"].add(LoopPulse)
    worker_init.connect(_begin, weak=False)
    beat_init.connect(_begin, weak=False)


def _begin(**_: Any) -> None:
    if settings.ENV.moonx_role == "beat" or is_worker():
        startup.end_if_unsafe(settings.ENV.moonx_role)
        if settings.ENV.metrics_port:
            metrics.serve(settings.ENV.metrics_port)


def beating(application: Application) -> Application:
    """The ASGI application of a web role, which beats from its first call on.

    The first call comes at once, from whoever asks whether it is ready, and only there is an event
    loop to watch. Other roles get the application as it is.
    """
    role = settings.ENV.moonx_role
    if role not in {"web", "ws"}:
        return application
    startup.end_if_unsafe(role)
    # The server drains on TERM and then raises it again: an orderly end says goodbye.
    signal.signal(signal.SIGTERM, _leave)
    turning: list[Pulse] = []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        if not turning:
            turning.append(heartbeat.start(role))
            _turn(turning[0], asyncio.get_running_loop())
        await application(scope, receive, send)

    return watched


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _turn(pulse: Pulse, loop: asyncio.AbstractEventLoop) -> None:
    pulse.alive()
    loop.call_later(TICK_S, _turn, pulse, loop)
