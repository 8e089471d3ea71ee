"""Registers what other packages bring, in this admin's dress; found by Django's autodiscovery."""

from django.contrib import admin

from moonx.admin import beat, people

__all__ = ["beat", "people"]

admin.site.index_title = "Overview"
