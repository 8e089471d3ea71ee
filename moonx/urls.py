"""Every path of the HTTP interface."""

from django.contrib import admin
from django.urls import path, re_path

from apps.exchange.api import no_such_path
from apps.realtime import pages
from moonx import health
from moonx.api import v3

handler404 = pages.not_found
handler500 = pages.failed

urlpatterns = [
    path("", pages.home),
    path("api/v1/info", pages.info),
    path("admin/", admin.site.urls),
    path("health", health.health),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("metrics", health.metrics_page),
    path("api/v3/", v3.urls),
    re_path(r"^api/v3(/.*)?$", no_such_path),
]
