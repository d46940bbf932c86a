"""Sessions and what was counted in them."""

from __future__ import annotations

import uuid

from django.db import models

from otel_chat.trackers import engagement_score


class ChatSession(models.Model):
    """One chat session."""

    session_id = models.CharField(max_length=64, primary_key=True)
    started_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.session_id


class ChatAnalytics(models.Model):
    """The record of a session; one each."""

    analytics_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.OneToOneField(ChatSession, models.CASCADE, related_name="analytics")
    total_messages = models.PositiveIntegerField(default=0)
    user_messages = models.PositiveIntegerField(default=0)
    assistant_messages = models.PositiveIntegerField(default=0)
    average_response_time_ms = models.FloatField(default=0)
    resolved = models.BooleanField(default=False)
    escalated_to_human = models.BooleanField(default=False)
    topics_discussed = models.JSONField(default=list)
    actions_taken = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"analytics of {self.session_id}"

    @property
    def engagement_score(self) -> float:
        """0 to 100: answered messages, actions and how it ended."""
        outcome = "resolved" if self.resolved else "open"
        if self.escalated_to_human:
            outcome = "handed_off"
        turns = min(self.user_messages, self.assistant_messages)
        return engagement_score(turns, len(self.actions_taken), outcome)
