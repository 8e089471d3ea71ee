"""App configuration."""

from django.apps import AppConfig


class AdminConfig(AppConfig):
    name = "moonx.admin"
    label = "moonx_admin"
