"""The WebSocket: an `AnalyticsTracker` counts, and saves when the session ends."""

from __future__ import annotations

import json
import time
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django_app.models import ChatAnalytics, ChatSession
from shopbot import answer, classify

from otel_chat import current_turn
from otel_chat.integrations.channels import TurnsMixin
from otel_chat.trackers import AnalyticsTracker


@database_sync_to_async
def save(session_id: str, record: dict[str, Any]) -> bool:
    """Creates or updates the session's record; says whether it is new."""
    session, _ = ChatSession.objects.get_or_create(session_id=session_id)
    _, created = ChatAnalytics.objects.update_or_create(session=session, defaults=record)
    return bool(created)


class ChatConsumer(TurnsMixin, AsyncWebsocketConsumer):
    """One connection is one session."""

    async def connect(self) -> None:
        """Accepts every session."""
        session_id = self.scope["url_route"]["kwargs"]["session_id"]
        self.analytics_tracker = AnalyticsTracker(
            session_id, save=save, agent="shop", channel="web"
        )
        await self.accept()

    async def receive(self, text_data: str = "", bytes_data: bytes | None = None) -> None:  # noqa: ARG002
        """Answers a message, or closes."""
        data = json.loads(text_data)
        if data.get("type") == "close":
            await self.analytics_tracker.save_analytics()
            await self.close()
        else:
            await self.handle_chat_message(data)

    async def handle_chat_message(self, data: dict[str, str]) -> None:
        """One question, one answer."""
        self.analytics_tracker.track_user_message()
        start_time = time.monotonic()
        intent, confidence = classify(data["text"])
        current_turn().intent(intent, confidence)
        await self.send(json.dumps({"reply": answer(intent)}))
        self.analytics_tracker.track_assistant_message((time.monotonic() - start_time) * 1000)
        if intent is not None:
            self.analytics_tracker.track_topic(intent)

    async def disconnect(self, code: int) -> None:  # noqa: ARG002
        """Saves what is not saved yet."""
        await self.analytics_tracker.save_analytics()
