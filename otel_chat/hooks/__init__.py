"""Hooks that run on a turn's redacted text after the reply: sentiment, topic, escalation.

Each is a plain function of what it is given and changes nothing: an escalation is advised, never
performed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_chat.hooks._escalation import Advice, EscalationAdvisor, Situation
from otel_chat.hooks._sentiment import SentimentAnalyser
from otel_chat.hooks._topics import TopicDetector

if TYPE_CHECKING:
    from otel_chat.hooks._model_topics import ModelTopicDetector

__all__ = [
    "Advice",
    "EscalationAdvisor",
    "ModelTopicDetector",
    "SentimentAnalyser",
    "Situation",
    "TopicDetector",
]


def __getattr__(name: str) -> Any:
    if name == "ModelTopicDetector":  # it brings an HTTP client, which few need
        from otel_chat.hooks._model_topics import ModelTopicDetector

        return ModelTopicDetector
    raise AttributeError(f"module 'otel_chat.hooks' has no attribute {name!r}")
