"""The threshold of low confidence, a setting of the server, told beside what it decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_chat.errors import ConfigurationError
from otel_chat.server.app import create_app
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.definitions import definitions
from otel_chat.server.questions.interactions import interaction_statistics
from otel_chat.server.questions.nlu import intents
from otel_chat.server.questions.overview import overview
from otel_chat.server.settings import read_settings
from tests.server.given import DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_chat.server.store import Store
    from tests.server.given import Given


@pytest.fixture(name="half")
def _half(store: Store) -> Iterator[Store]:
    """A store whose server has the threshold 0.5."""
    usual = store.rules
    create_app(store, read_settings(low_confidence=0.5))
    yield store
    store.rules = usual


def test_what_lies_below_it_is_low(half: Store, given: Given) -> None:
    """Of 0.3, 0.5 and 0.6 one; each answer says what it was held against."""
    for second, confidence in enumerate((0.3, 0.5, 0.6)):
        given.turn("c", second, confidence=confidence, intent="order")
    given.save()
    asked = (given.store, given.scope, DAY, Filters())
    found = intents(*asked)
    told = [one.confidence for one in (overview(*asked), interaction_statistics(*asked), found)]
    assert [(one.low, one.high, one.threshold) for one in told] == [(1, 2, 0.5)] * 3
    assert found.items[0].low_confidence == 1


def test_definitions_tell_it(half: Store) -> None:
    """As a number, in the name of the rules and in words."""
    told = definitions(half.rules)
    assert (told.low_confidence, told.rules) == (0.5, "version 2, low_confidence 0.5")
    assert "below 0.5" in told.conversations


def test_it_lies_between_0_and_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the server does not start, and names the variable."""
    monkeypatch.setenv("OTEL_CHAT_SERVER_LOW_CONFIDENCE", "70")
    with pytest.raises(ConfigurationError, match="OTEL_CHAT_SERVER_LOW_CONFIDENCE"):
        read_settings()
