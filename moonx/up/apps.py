"""App configuration."""

from django.apps import AppConfig


class UpConfig(AppConfig):
    name = "moonx.up"
    label = "up"
