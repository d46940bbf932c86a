"""The same conversations by the rules of other products, worked out by hand."""

from __future__ import annotations

import pytest

from otel_chat.errors import QueryError
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.packs import PACKS, pack
from tests.server.given import DAY, Given

NONE = Filters()


@pytest.fixture
def eight(given: Given) -> Given:
    """Eight settled conversations, all but one of them classified."""
    given.turn("greeting only")
    given.turn("ended", intent="order")
    given.event("conversation.end", "ended", 5)
    given.turn("quiet", intent="order")
    given.turn("thanked", intent="order")
    given.feedback(5, "thanked", 5)
    given.turn("cross", intent="order")
    given.event("conversation.end", "cross", 5)
    given.feedback(1, "cross", 6)
    given.turn("human", intent="order", handoff=True)
    given.event("conversation.end", "human", 9, outcome="resolved")
    given.turn("lost", intent="order")
    given.turn("lost", 30, fallback=True)
    given.turn("halfway", intent="return")
    given.event("workflow.started", "halfway", 1, workflow="return")
    given.save()
    return given


def told(given: Given, name: str) -> dict[str, tuple[int, int]]:
    found = pack(given.store, given.scope, DAY, NONE, name)
    assert found.conversations == 8
    return {figure.name: (figure.numerator, figure.denominator) for figure in found.figures}


def test_copilot_studio(eight: Given) -> None:
    """Seven engaged; ended and thanked are resolved, one escalated, the other four abandoned.

    One that was ended and rated badly is not resolved; one that went quiet is not either.
    """
    assert told(eight, "copilot-studio") == {
        "Engagement rate": (7, 8),
        "Resolution rate": (2, 7),
        "Escalation rate": (1, 7),
        "Abandon rate": (4, 7),
    }


def test_lex(eight: Given) -> None:
    """One failed on a fallback, one was dropped within its workflow, the other six succeeded.

    Of eight classified turns one was missed.
    """
    assert told(eight, "lex-v2") == {
        "Conversations succeeded": (6, 8),
        "Conversations failed": (1, 8),
        "Conversations dropped": (1, 8),
        "Utterances missed": (1, 8),
    }


def test_our_own_figures_stand_beside(eight: Given) -> None:
    """Resolved: all but the cross, the lost and the halfway one; an explicit word wins: 5 of 8."""
    found = pack(eight.store, eight.scope, DAY, NONE, "copilot-studio")
    ours = {one.ours.name: one.ours.value for one in found.figures if one.ours}
    assert ours == {
        "resolution_ratio_high": 5 / 8,
        "handoff_ratio": 1 / 8,
        "abandoned_ratio": 3 / 8,
    }
    assert found.satisfaction == 0.5
    assert all(one.ours is None or one.ours.definition for one in found.figures)


@pytest.mark.parametrize("name", PACKS)
def test_outcomes_of_a_pack_sum_to_the_whole(eight: Given, name: str) -> None:
    """Each conversation has one outcome by each product's rules; without data all are null."""
    figures = told(eight, name)
    outcomes = [
        pair
        for label, pair in figures.items()
        if label not in {"Engagement rate", "Utterances missed"}
    ]
    assert sum(part for part, _ in outcomes) == outcomes[0][1]
    empty = pack(eight.store, eight.scope, DAY, Filters(agent="nobody"), name)
    assert {figure.value for figure in empty.figures} == {None}
    assert PACKS[name].sources
    assert all(source.startswith("https://") for source in PACKS[name].sources)


def test_a_pack_that_there_is_not_is_refused(given: Given) -> None:
    """It names those there are."""
    with pytest.raises(QueryError, match="lex-v2"):
        pack(given.store, given.scope, DAY, NONE, "unknown")
