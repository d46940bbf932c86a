from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_chat.demo import content
from otel_chat.demo.classifier import IntentClassifier, intent_classifier
from otel_chat.demo.dialogue import UNSURE

PHRASES = [phrase for said in content.phrases().values() for phrase in said]
WORDS = sorted({word for phrase in PHRASES for word in phrase.split()})


def test_there_are_enough_varied_training_phrases() -> None:
    """At least 15 intents with at least 25 phrases each, no phrase twice."""
    assert len(content.phrases()) >= 15
    assert min(len(said) for said in content.phrases().values()) >= 25
    assert len(set(PHRASES)) == len(PHRASES)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)))
def test_the_quick_score_is_the_fitted_models_own(text: str) -> None:
    """For any text the confidence is the highest probability of scikit-learn's own path."""
    found = intent_classifier().classify(text)
    [scores] = intent_classifier().probabilities([text])
    assert found.confidence == pytest.approx(max(scores.values()), abs=1e-9)
    assert scores[found.intent] == pytest.approx(max(scores.values()), abs=1e-9)


def test_training_again_yields_the_same_classifier() -> None:
    """Two classifiers of the same phrases give the same confidence to the last bit."""
    subset = dict(list(content.phrases().items())[:5])
    first, second = IntentClassifier(subset), IntentClassifier(subset)
    said = ["where is it?", "hello", "bye now", "no idea what this is"]
    assert [first.classify(text) for text in said] == [second.classify(text) for text in said]


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("could you tell me where my parcel is?", "order_status"),
        ("I'd like to send this back please", "return_order"),
        ("may I speak to a real human being", "human_agent"),
        ("what does it cost to ship a parcel", "shipping_cost"),
        ("my address is wrong", "change_address"),
        ("please reset my password for me", "account_login"),
        ("yes, that's right", "affirm"),
    ],
)
def test_messages_that_are_not_among_the_phrases_are_understood(text: str, intent: str) -> None:
    """A message in other words gets its intent with a confidence above the bot's threshold."""
    assert text not in PHRASES
    found = intent_classifier().classify(text)
    assert (found.intent, found.confidence > UNSURE) == (intent, True)


def test_the_confidence_is_calibrated_on_phrases_that_were_held_out() -> None:
    """Of the phrases that a classifier has not seen, about as many are right as it believes."""
    training = {intent: said[::2] for intent, said in content.phrases().items()}
    held_out = [
        (phrase, intent) for intent, said in content.phrases().items() for phrase in said[1::2]
    ]
    classifier = IntentClassifier(training)
    found = [(classifier.classify(phrase), intent) for phrase, intent in held_out]
    right = sum(one.intent == intent for one, intent in found) / len(found)
    believed = sum(one.confidence for one, _ in found) / len(found)
    assert believed == pytest.approx(right, abs=0.1)


@pytest.mark.parametrize("text", ["zxcv mmph", "qqq wwww zzz", ""])
def test_nonsense_is_not_believed(text: str) -> None:
    """Text without meaning stays below the threshold."""
    assert intent_classifier().classify(text).confidence < UNSURE
