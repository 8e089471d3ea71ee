"""The ASGI application: HTTP by Django, /ws by the gateway."""

import os

os.environ.setdefault(
    "DJANGO_SETTINGS_MODULE", f"moonx.settings.{os.environ.get('MOONX_ENV', 'dev')}"
)

from django.core.asgi import get_asgi_application

_http = get_asgi_application()  # sets Django up, which the gateway's imports need

from channels.routing import ProtocolTypeRouter  # noqa: E402

from apps.realtime.consumers import Gateway  # noqa: E402
from apps.realtime.gate import Gate  # noqa: E402
from moonx import apihandler, living  # noqa: E402

application = living.beating(
    ProtocolTypeRouter({"http": apihandler.beside(_http), "websocket": Gate(Gateway.as_asgi())})
)
