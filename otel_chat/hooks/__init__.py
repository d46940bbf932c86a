"""Hooks that run on a turn's redacted text after the reply: sentiment, topic, escalation.

Each is a plain function of what it is given and changes nothing: an escalation is advised, never
performed.
"""

from __future__ import annotations

from otel_chat.hooks._escalation import Advice, EscalationAdvisor, Situation
from otel_chat.hooks._model_topics import ModelTopicDetector
from otel_chat.hooks._sentiment import SentimentAnalyser
from otel_chat.hooks._topics import TopicDetector

__all__ = [
    "Advice",
    "EscalationAdvisor",
    "ModelTopicDetector",
    "SentimentAnalyser",
    "Situation",
    "TopicDetector",
]
