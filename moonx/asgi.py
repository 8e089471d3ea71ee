"""The ASGI application: HTTP by Django, /ws by the gateway."""

import os

os.environ.setdefault(
    "DJANGO_SETTINGS_MODULE", f"moonx.settings.{os.environ.get('MOONX_ENV', 'dev')}"
)

from django.core.asgi import get_asgi_application

from moonx import living

application = living.beating(get_asgi_application())
