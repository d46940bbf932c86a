"""`@intent_classifier`: what a classifier returns becomes the turn's intent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_chat import intent_classifier, turn
from otel_chat import semconv as sc
from otel_chat._wrap.classifiers import read_intent
from otel_chat.testing import Telemetry, assert_turn


@dataclass
class Result:
    """What a classifier of one's own returns."""

    intent: str | None
    confidence: float


class Nested:
    """What a client's class may look like."""

    intent = {"name": "greet", "confidence": 0.9}  # noqa: RUF012 - as a client's class has it


RASA = {"text": "hi", "intent": {"name": "greet", "confidence": 0.9}, "entities": []}
DIALOGFLOW = {
    "queryResult": {
        "intent": {"displayName": "greet"},
        "intentDetectionConfidence": 0.9,
        "match": {"intent": {"displayName": "greet"}, "matchType": "INTENT", "confidence": 0.9},
    }
}
ANSWERS: list[Any] = [
    ("greet", 0.9),
    ("greet", Decimal("0.9")),
    {"intent": "greet", "confidence": 0.9},
    {"label": "greet", "score": 0.9},
    {"name": "greet", "probability": 0.9},
    {"intent": {"name": "greet", "confidence": 0.9}},
    {"intent": {"name": "greet"}, "confidence": 0.9},
    Result("greet", 0.9),
    Nested(),
    RASA,
    DIALOGFLOW,
    [("bye", 0.05), ("greet", 0.9)],
    [{"label": "bye", "score": 0.05}, {"label": "greet", "score": 0.9}],
    [Result("greet", 0.9), Result("bye", 0.05)],
    {"bye": 0.05, "greet": 0.9},
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_intent_and_confidence_are_found_in_whatever_is_returned(
    telemetry: Telemetry, answer: Any
) -> None:
    """The result passes through; the turn has the surest intent, one event, one count."""

    @intent_classifier
    def classify(text: str) -> Any:
        return answer

    with turn("a"):
        assert classify("hello") is answer
    assert_turn(
        telemetry.only_turn(),
        intent="greet",
        confidence=pytest.approx(0.9),
        fallback=False,
        events=[sc.EVENT_INTENT],
        inside=["classify_intent intent"],
    )
    assert telemetry.metric(sc.METRIC_INTENTS).total == 1


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "",
        [],
        (None, 0.2),
        Result(None, 0.1),
        {"intent": None},
        {**RASA, "intent": {"name": "nlu_fallback", "confidence": 0.3}},
    ],
)
def test_no_intent_is_a_fallback(telemetry: Telemetry, answer: Any) -> None:
    """A classifier that found nothing says so in its own way."""
    with turn("a"):
        intent_classifier(lambda: answer)()
    assert_turn(telemetry.only_turn(), intent=None, fallback=True)


def test_other_candidates_are_data_of_the_event(telemetry: Telemetry) -> None:
    """They count as no classification of their own."""
    with turn("a"):
        intent_classifier(lambda: [("b", 0.2), ("c", 0.1), ("a", 0.7)])()
    (event,) = telemetry.events(sc.EVENT_INTENT)
    assert json.loads(event.attributes[sc.DATA]) == {
        "alternatives": [{"name": "b", "confidence": 0.2}, {"name": "c", "confidence": 0.1}]
    }


def test_candidates_without_confidence_keep_their_order(telemetry: Telemetry) -> None:
    """A classifier that does not say how sure it is gives the best first."""
    with turn("a"):
        intent_classifier(lambda: ["first", "second"])()
    assert_turn(telemetry.only_turn(), intent="first", confidence=None)


async def test_classifiers_of_other_shapes_and_blocks(telemetry: Telemetry) -> None:
    """Coroutines, methods and blocks do the same."""

    class Bot:
        @intent_classifier("nlu", source="annotation")
        async def classify(self) -> str:
            return "greet"

    async with turn("a"):
        assert await Bot().classify() == "greet"
        with intent_classifier("rules") as rules:
            rules.result(("order", 0.8))
            rules.intent("order", 0.9)
    assert_turn(
        telemetry.only_turn(),
        intent="order",
        confidence=0.9,
        inside=["classify_intent nlu", "classify_intent rules"],
    )
    sources = [e.attributes[sc.SOURCE] for e in telemetry.events(sc.EVENT_INTENT)]
    assert sources == ["annotation", "classifier", "classifier"]


async def test_a_streaming_classifier_passes_through(telemetry: Telemetry) -> None:
    """An async generator stays one; it has no result to read."""

    @intent_classifier
    async def classify() -> AsyncIterator[str]:
        yield "a"

    async with turn("a"):
        assert [one async for one in classify()] == ["a"]
    assert_turn(telemetry.only_turn(), intent=None, inside=["classify_intent intent"])


class Kind(Enum):
    """Intents as an enumeration; a member has a name."""

    GREET = 1


@pytest.mark.parametrize("answer", [object(), 7, b"greet", Kind.GREET, {"text": "hi"}])
def test_what_holds_no_intent_is_counted_and_passes_through(
    telemetry: Telemetry, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller has its result; the error is ours."""
    monkeypatch.delenv("OTEL_CHAT_RAISE")
    with turn("a"):
        assert intent_classifier(lambda: answer)() is answer
    expected = "GREET" if answer is Kind.GREET else None
    assert telemetry.only_turn()["intent"] == expected
    errors = telemetry.metric(sc.METRIC_TELEMETRY_ERRORS).total
    assert errors == (0 if expected else 1)


@given(
    st.lists(
        st.tuples(st.text(min_size=1), st.floats(0, 1)), min_size=1, unique_by=lambda pair: pair[0]
    )
)
def test_the_surest_candidate_is_the_intent(candidates: list[tuple[str, float]]) -> None:
    """Of pairs as of scores by name, in any order."""
    found = read_intent(candidates)
    assert found.confidence == max(confidence for _, confidence in candidates)
    assert (found.name, found.confidence) in candidates
    others = [confidence or 0.0 for _, confidence in found.alternatives]
    assert others == sorted(others, reverse=True)
