"""The exchange: markets, trades, bars, tickers."""

from django.apps import AppConfig


class ExchangeConfig(AppConfig):
    name = "apps.exchange"
    label = "exchange"
    verbose_name = "Exchange"

    def ready(self) -> None:
        """Makes this app's channels known to the gateway."""
        from apps.exchange import book, own, watch

        watch.register()
        book.register()
        own.register()
