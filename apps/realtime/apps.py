"""The gateway: relay, hub, sockets, sign-in, the page."""

from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    name = "apps.realtime"
    label = "realtime"
    verbose_name = "Realtime"

    def ready(self) -> None:
        """Makes this app's channel known."""
        from apps.realtime import alerts

        alerts.register()
