"""The kernel: what every app stands on."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "moonx.core"
    label = "core"
    verbose_name = "Kernel"
