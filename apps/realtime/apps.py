"""The gateway: relay, hub, sockets, sign-in, the page."""

from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:  # models are not loaded yet
    from moonx.core.identity import Identity


class RealtimeConfig(AppConfig):
    name = "apps.realtime"
    label = "realtime"
    verbose_name = "Realtime"

    def ready(self) -> None:
        """Makes this app's channel known, and whom tokens belong to."""
        from apps.realtime import alerts
        from moonx.core import identity

        alerts.register()
        identity.register(_identify)


def _identify(token: str, *, audience: str) -> "Identity":
    from apps.realtime import auth  # only a process that is asked pays for it

    return auth.identify(token, audience=audience)
