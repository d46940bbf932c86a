"""The example bot as an application of its own, for a server that runs applications.

`uvicorn --factory tools.demo_app:create`; telemetry goes where OTEL_EXPORTER_OTLP_ENDPOINT says.
"""

from __future__ import annotations

import os

from fastapi import FastAPI

import otel_chat
from otel_chat.demo.bot import SupportBot, configuration
from otel_chat.demo.web import create_app


def create() -> FastAPI:
    """The bot, whose page links to the analytics page at OTEL_CHAT_DEMO_ANALYTICS."""
    otel_chat.setup(
        service_name="otel-chat-demo",
        environment="demo",
        config=configuration(),
    )
    return create_app(SupportBot(), analytics=os.environ["OTEL_CHAT_DEMO_ANALYTICS"])
