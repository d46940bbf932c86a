"""The Django example: HTTP through Django, WebSockets through Channels.

cd examples
DJANGO_SETTINGS_MODULE=django_app.settings python -m django migrate --run-syncdb
uvicorn django_app.asgi:application
"""

from __future__ import annotations

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

import otel_chat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_app.settings")
otel_chat.setup(
    service_name="django-example",
    endpoint=os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:8400"),
)
http = get_asgi_application()

from django_app.consumers import ChatConsumer  # noqa: E402 - models need a Django that is set up

from otel_chat.integrations.channels import ChatMiddleware  # noqa: E402

sockets = URLRouter([path("ws/<str:session_id>", ChatConsumer.as_asgi())])
application = ChatMiddleware(
    ProtocolTypeRouter({"http": http, "websocket": sockets}),
    conversation_id="path:session_id",
    channel="web",
    agent="shop",
)
