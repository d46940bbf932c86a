"""The hooks that ship: sentiment, topics, advice to hand over."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_chat.errors import ConfigurationError
from otel_chat.hooks import Advice, EscalationAdvisor, SentimentAnalyser, Situation, TopicDetector
from otel_chat.semconv import SENTIMENTS

SENTIMENT = SentimentAnalyser()


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Thank you so much, that was really helpful!", "positive"),
        ("This is terrible, I am so angry", "negative"),
        ("not good at all", "negative"),
        ("I need a table for two at eight", "neutral"),
        ("", "neutral"),
    ],
)
def test_sentiment_of_chat_messages(text: str, label: str) -> None:
    """Positive, negative, neither; negation is understood."""
    assert SENTIMENT(text) == label


@given(st.text())
def test_any_text_has_a_sentiment(text: str) -> None:
    """One of the three labels of the contract."""
    assert SENTIMENT(text) in SENTIMENTS


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    with pytest.raises(ConfigurationError, match=r"otel-chat\[hooks\]"):
        SentimentAnalyser()


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        ("My INVOICES are wrong", ("billing",)),
        ("credit\n card", ("billing",)),
        ("credits", ()),
        ("parcel, parcel and one invoice", ("delivery", "billing")),
        ("parcel and invoice", ("billing", "delivery")),
        ("Straße C++ ok", ("other",)),
        ("", ()),
    ],
)
def test_topics_by_keywords(text: str, topics: tuple[str, ...]) -> None:
    """Whole words and phrases in any case; most hits first, then the table's order."""
    detector = TopicDetector(
        {"billing": ["invoice*", "credit card"], "delivery": ["parcel"], "other": ["c++"]}
    )
    assert detector(text) == topics


@pytest.mark.parametrize("table", [{}, {"x": []}, {"x": [" "]}, {"x": ["*"]}])
def test_a_wrong_topic_table_is_named(table: dict[str, list[str]]) -> None:
    """When it is made."""
    with pytest.raises(ConfigurationError, match="topics: "):
        TopicDetector(table)


@pytest.mark.parametrize(
    "text",
    [
        "agent",
        "Human!",
        "can I talk to a person",
        "I want to speak with someone from support",
        "Please transfer me to a live agent",
        "get me your manager now",
        "is there a real person here?",
        "connect me with customer service staff",
        "I need a human please",
    ],
)
def test_a_wish_for_a_human_is_advised(text: str) -> None:
    """However it is put."""
    assert EscalationAdvisor()(Situation(text)) == Advice("user_request")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I need a table for two people",
        "I want a room for one person",
        "get me a travel agent in Rome",
        "I don't need a human",
        "what is the human body temperature",
        "the price per person please",
        "find me a restaurant",
    ],
)
def test_people_in_other_places_are_no_wish_for_a_human(text: str) -> None:
    """Guests, travel agents, refusals."""
    assert EscalationAdvisor()(Situation(text)) is None


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        (Situation(fallbacks=1), None),
        (Situation(fallbacks=2), "repeated_fallback"),
        (Situation(fallbacks=2, handed_off=True), None),
        (Situation("agent", fallbacks=2), "user_request"),
        (Situation(failed=True), None),
        (Situation(failed=True, negatives=1), "error"),
        (Situation(failed=True, fallbacks=1), "error"),
        (Situation(negatives=1, sentiment="negative"), None),
        (Situation(negatives=2), "negative_sentiment"),
        (Situation(sentiment="negative", confidence=0.29), "low_confidence"),
        (Situation(sentiment="negative", confidence=0.3), None),
        (Situation(sentiment="neutral", confidence=0.1), None),
        (Situation(sentiment="negative"), None),
    ],
)
def test_the_documented_rules(situation: Situation, reason: str | None) -> None:
    """Each on both sides of its threshold; the first that holds gives the reason."""
    advice = EscalationAdvisor()(situation)
    assert (advice.reason if advice else None) == reason


def test_thresholds_are_settings() -> None:
    """Fallbacks, negatives and confidence."""
    advisor = EscalationAdvisor(fallbacks=1, negatives=3, confidence=0.5)
    assert advisor(Situation(fallbacks=1)) == Advice("repeated_fallback")
    assert advisor(Situation(negatives=2)) is None
    assert advisor(Situation(sentiment="negative", confidence=0.4)) == Advice("low_confidence")


@pytest.mark.parametrize(
    "build",
    [
        lambda: EscalationAdvisor(fallbacks=0),
        lambda: EscalationAdvisor(negatives=0),
        lambda: EscalationAdvisor(confidence=1.1),
    ],
)
def test_a_threshold_out_of_range_is_named(build: Callable[[], object]) -> None:
    """When it is made."""
    with pytest.raises(ConfigurationError, match="escalation: "):
        build()


@pytest.mark.parametrize("piece", ["talk ", "human", "get a ", "\n", "want want "])
@pytest.mark.timeout(60)
def test_hostile_text_is_judged_at_once(piece: str) -> None:
    """Only the beginning is read, in linear time."""
    long = piece * 100_000
    EscalationAdvisor()(Situation(long))
    SENTIMENT(long)
    TopicDetector({"x": ["get a"]})(long)
