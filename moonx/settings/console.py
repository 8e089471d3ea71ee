"""The admin's looks and its sidebar."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy


def _item(title: str, icon: str, view: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{view}")}


def _list(title: str, icon: str, model: str) -> dict[str, Any]:
    return _item(title, icon, f"{model}_changelist")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "MoonX",
    "SITE_HEADER": "MoonX",
    "SITE_SUBHEADER": "Operations",
    "SITE_SYMBOL": "candlestick_chart",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda _request: static("realtime/icon.svg"),
        }
    ],
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "DASHBOARD_CALLBACK": "moonx.admin.dashboard.fill",
    "SIDEBAR": {
        "show_search": True,
        "navigation": [
            {"items": [_item("Overview", "dashboard", "index")]},
            {
                "title": "Market data",
                "separator": True,
                "items": [
                    _list("Markets", "storefront", "exchange_market"),
                    _list("Assets", "toll", "exchange_asset"),
                    _list("Tickers", "monitoring", "exchange_ticker"),
                    _list("Trades", "swap_horiz", "exchange_trade"),
                    _list("Busts and corrections", "history_edu", "exchange_amendment"),
                    _list("Findings of audits", "fact_check", "exchange_finding"),
                    _list("Candles", "candlestick_chart", "exchange_candle"),
                    _list("Closing of candles", "schedule", "exchange_candlewatermark"),
                ],
            },
            {
                "title": "Trading",
                "separator": True,
                "items": [
                    _list("Orders", "receipt_long", "exchange_order"),
                    _list("Accounts", "account_balance_wallet", "exchange_account"),
                    _list("Journals", "menu_book", "exchange_journal"),
                    _list("Seals", "verified", "exchange_seal"),
                    _list("Traders", "group", "exchange_trader"),
                    _list("Fee tiers", "percent", "exchange_feetier"),
                    _list("API keys", "key", "exchange_apikey"),
                ],
            },
            {
                "title": "Statistics",
                "separator": True,
                "items": [
                    _list("Told", "campaign", "stats_published"),
                    _list("Collectors", "sensors", "stats_collector"),
                    _list("Chains", "link", "core_chain"),
                    _list("How chains stand", "health_metrics", "stats_chainwatch"),
                    _list("Looks at chains", "speed", "stats_chainsample"),
                    _list("Quotes of bridges", "alt_route", "stats_bridgesample"),
                    _list("Activity scans", "group_search", "stats_activitycursor"),
                    _list("Days of activity", "calendar_today", "stats_activityday"),
                    _list("Records of blocks", "view_module", "stats_activityrecord"),
                ],
            },
            {
                "title": "Work",
                "separator": True,
                "items": [
                    _list("Schedule", "event_repeat", "django_celery_beat_periodictask"),
                    _list("Intervals", "timer", "django_celery_beat_intervalschedule"),
                    _list("Calendars", "calendar_month", "django_celery_beat_crontabschedule"),
                    _list("Processes", "ecg_heart", "core_heartbeat"),
                    _list("Circuits", "electrical_services", "core_circuit"),
                    _list("Changes of circuits", "history", "core_circuitevent"),
                ],
            },
            {
                "title": "Events",
                "separator": True,
                "items": [
                    _list("Published", "stream", "core_publishedevent"),
                    _list("Waiting", "outbox", "core_outboxevent"),
                    _list("Positions", "flag", "core_cursor"),
                ],
            },
            {
                "title": "People",
                "separator": True,
                "items": [
                    _list("Users", "person", "auth_user"),
                    _list("Groups", "groups", "auth_group"),
                    _list("Failed sign-ins", "lock_clock", "axes_accessattempt"),
                    _list("Sign-ins", "login", "axes_accesslog"),
                ],
            },
        ],
    },
}
