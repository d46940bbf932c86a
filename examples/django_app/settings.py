"""Settings of the Django example: one application, SQLite, Channels in memory."""

from __future__ import annotations

import os
from pathlib import Path

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "only-for-the-example")
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["channels", "django_app"]
MIDDLEWARE = ["otel_chat.integrations.django.ChatMiddleware"]
OTEL_CHAT = {"conversation_id": ["path:session_id", "json:session_id"], "channel": "web"}
ROOT_URLCONF = "django_app.urls"
ASGI_APPLICATION = "django_app.asgi.application"
WSGI_APPLICATION = "django_app.wsgi.application"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DJANGO_DB", Path(__file__).parent / "chat.sqlite3"),
        "OPTIONS": {"timeout": 20},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
USE_TZ = True
