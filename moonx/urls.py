"""Every path of the HTTP interface."""

from django.contrib import admin
from django.urls import path, re_path

from apps.exchange import api as exchange
from apps.realtime import connections, pages
from moonx import health
from moonx.api import former, udf, v1, v3
from moonx.documents import views as documents

admin.autodiscover()

handler404 = pages.not_found
handler500 = pages.failed

urlpatterns = [
    path("", pages.home),
    path("keys", pages.keys),
    path("api/v1/info", pages.info),
    path("docs", documents.index),
    path("docs/http", documents.http_page),
    path("docs/ws", documents.ws_page),
    path("openapi.json", documents.openapi_json),
    path("asyncapi.json", documents.asyncapi_json),
    path("admin/", admin.site.urls),
    path("health", health.health),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("metrics", health.metrics_page),
    path("connections", connections.connections),
    path("api/v1/", v1.urls),
    path("api/stats/", former.urls),
    path("api/v3/", exchange.no_such_path),
    path("api/v3/", v3.urls),
    re_path(r"^api/v3(/.*)?$", exchange.no_such_path),
    path("udf/", exchange.udf.no_such_path),
    path("udf/", udf.urls),
    re_path(r"^udf(/.*)?$", exchange.udf.no_such_path),
]
