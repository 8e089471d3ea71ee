"""Statistics: chains, bridges, activity."""

from django.apps import AppConfig


class StatsConfig(AppConfig):
    name = "apps.stats"
    label = "stats"
    verbose_name = "Statistics"

    def ready(self) -> None:
        """Makes this app's channels known to the gateway."""
        from apps.stats import watch

        watch.register()
