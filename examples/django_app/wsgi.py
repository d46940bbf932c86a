"""The Django example under WSGI: HTTP only."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

import otel_chat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_app.settings")
otel_chat.setup(
    service_name="django-example",
    endpoint=os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:8400"),
)
application = get_wsgi_application()
