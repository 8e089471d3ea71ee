"""Registers what other packages bring, in this admin's dress; found by Django's autodiscovery."""

from moonx.admin import beat, people

__all__ = ["beat", "people"]
