"""Outcomes, settling and engagement: each rule on a conversation made for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.conversations import ConversationSummary, conversations
from tests.server.given import DAY, Given, at

if TYPE_CHECKING:
    from typing import Any

    from otel_chat.server.figures.window import Window


def every(given: Given, window: Window = DAY) -> list[ConversationSummary]:
    """The summaries of all conversations that were given."""
    return conversations(given.store, given.scope, window, Filters()).items


def only(given: Given, window: Window = DAY, filters: Filters | None = None) -> ConversationSummary:
    """The summary of the only conversation that was given."""
    given.save()
    items = conversations(given.store, given.scope, window, filters or Filters()).items
    assert len(items) == 1
    return items[0]


def test_a_conversation_without_an_end_is_open_until_it_has_been_idle(given: Given) -> None:
    """A turn from 12:00:00 to 12:00:01: open at 12:30:00, settled at 12:30:01."""
    given.turn(seconds=0, duration=1)
    before = only(given, replace(DAY, now=at(1800)))
    after = only(given, replace(DAY, now=at(1801)))
    assert (before.open, before.settled, before.outcome) == (True, False, "open")
    assert (after.open, after.settled, after.outcome) == (False, True, "resolved")


def test_the_idle_time_is_a_setting(given: Given) -> None:
    """With an idle time of a minute the same conversation settles after a minute."""
    given.turn(duration=1)
    window = replace(DAY, now=at(61), idle=timedelta(minutes=1))
    assert only(given, window).settled


def test_an_event_keeps_a_conversation_open_but_late_feedback_reopens_nothing(
    given: Given,
) -> None:
    """A message at 12:20 moves the last activity; feedback at 12:40 does not."""
    given.turn(duration=1)
    given.event("message", seconds=1200, sender="human")
    given.feedback(3, seconds=2400)
    found = only(given, replace(DAY, now=at(1200 + 1799)))
    assert found.open
    assert found.last_at == at(1200)
    assert only(given, replace(DAY, now=at(1200 + 1800))).settled


def test_an_explicit_end_settles_at_once(given: Given) -> None:
    """With an end a conversation is settled though its last turn is a second old."""
    given.turn(duration=1)
    given.event("conversation.end", seconds=2, outcome="resolved", reason="goodbye")
    found = only(given, replace(DAY, now=at(2)))
    assert (found.settled, found.ended, found.end_reason) == (True, True, "goodbye")
    assert (found.outcome, found.confirmed) == ("resolved", True)


@pytest.mark.parametrize("outcome", ["resolved", "handed_off", "abandoned", "failed"])
def test_the_explicit_outcome_wins_over_everything(given: Given, outcome: str) -> None:
    """A handoff, an error, feedback and a fallback say otherwise; the end's word counts."""
    given.turn(handoff=True, status="error", fallback=True)
    given.feedback(5)
    given.feedback(1)
    given.event("conversation.end", seconds=5, outcome=outcome)
    assert only(given).outcome == outcome


def test_the_last_end_that_names_an_outcome_counts(given: Given) -> None:
    """Failed, then resolved, then an end without a word: resolved."""
    given.turn()
    given.event("conversation.end", seconds=5, outcome="failed")
    given.event("conversation.end", seconds=6, outcome="resolved")
    given.event("conversation.end", seconds=7)
    assert only(given).outcome == "resolved"


def test_an_end_without_an_outcome_leaves_it_to_the_rules(given: Given) -> None:
    """An end that names none, or one nobody knows, settles; the last turn's error decides."""
    given.turn(status="error")
    given.event("conversation.end", seconds=5)
    given.event("conversation.end", seconds=6, outcome="sunny")
    found = only(given, replace(DAY, now=at(7)))
    assert (found.settled, found.outcome) == (True, "failed")


@pytest.mark.parametrize("event", [None, "handoff.requested", "handoff.accepted", "handoff.ended"])
def test_a_handoff_by_turn_or_event_comes_before_error_and_feedback(
    given: Given, event: str | None
) -> None:
    """Whoever asked for a human was handed off, though the turn failed and the user was glad."""
    given.turn(status="error", handoff=event is None)
    if event:
        given.event(event, seconds=1)
    given.feedback(5)
    found = only(given)
    assert (found.outcome, found.handoff) == ("handed_off", True)


def test_an_error_in_the_last_turn_fails_a_conversation_despite_good_feedback(
    given: Given,
) -> None:
    """The last turn by time counts, in whatever order the turns came."""
    given.turn(seconds=60, status="error")
    given.turn(seconds=0)
    given.feedback(5)
    assert only(given).outcome == "failed"


def test_an_error_before_the_last_turn_does_not_fail_a_conversation(given: Given) -> None:
    """An error that was got over leaves the conversation resolved, assumed."""
    given.turn(seconds=0, status="error")
    given.turn(seconds=60)
    found = only(given)
    assert (found.outcome, found.confirmed) == ("resolved", False)


@pytest.mark.parametrize(
    ("value", "scale", "outcome", "confirmed"),
    [
        (5, (1, 5), "resolved", True),
        (4, (1, 5), "resolved", True),
        (3, (1, 5), "resolved", False),
        (2, (1, 5), "abandoned", False),
        (1, (1, 5), "abandoned", False),
        (1, (0, 1), "resolved", True),
        (0, (0, 1), "abandoned", False),
        (0, (-1, 1), "resolved", False),
        (9, (0, 10), "resolved", True),
        (8, (0, 10), "resolved", False),
        (1, (0, 10), "abandoned", False),
        (75, (0, 100), "resolved", True),
        (74, (0, 100), "resolved", False),
        (25, (0, 100), "abandoned", False),
    ],
)
def test_the_top_two_boxes_confirm_and_the_bottom_two_abandon(
    given: Given, value: float, scale: tuple[float, float], outcome: str, confirmed: bool
) -> None:
    """Boxes of the user's own scale; the top one of a short scale, a quarter of a fine one."""
    given.turn()
    given.feedback(value, scale=scale)
    found = only(given)
    assert (found.outcome, found.confirmed) == (outcome, confirmed)


@pytest.mark.parametrize(
    ("last", "outcome", "confirmed"),
    [(1, "abandoned", False), (5, "resolved", True), (3, "resolved", False)],
)
def test_the_latest_rating_decides(
    given: Given, last: float, outcome: str, confirmed: bool
) -> None:
    """Whatever was rated before; one in the middle decides nothing."""
    given.turn()
    given.feedback(5, seconds=10)
    given.feedback(1, seconds=20)
    given.feedback(last, seconds=30)
    found = only(given)
    assert (found.outcome, found.confirmed, found.feedback) == (outcome, confirmed, "mixed")


@pytest.mark.parametrize(
    "sign", [{"fallback": True}, {"confidence": 0.69}, {"sentiment": "negative"}]
)
def test_a_last_turn_that_may_not_have_helped_is_abandoned(
    given: Given, sign: dict[str, Any]
) -> None:
    """A fallback, an unsure one, one of negative sentiment; before the last it decides nothing."""
    given.turn("a", **sign)
    given.turn("b", **sign)
    given.turn("b", 10, confidence=0.7, sentiment="neutral")
    given.save()
    found = {one.conversation_id: one.outcome for one in every(given)}
    assert found == {"a": "abandoned", "b": "resolved"}


def test_a_turn_that_was_cut_off_before_any_reply_has_failed(given: Given) -> None:
    """One that was cut off after the first chunk had begun its reply."""
    given.turn("a", status="cancelled")
    given.turn("b", status="cancelled", time_to_first_chunk=0.1)
    given.save()
    assert {one.conversation_id: one.outcome for one in every(given)} == {
        "a": "failed",
        "b": "resolved",
    }


def test_an_outcome_that_was_told_hands_off_for_good(given: Given) -> None:
    """handed_off was told and resolved later: resolved, and not contained."""
    given.turn("a")
    given.event("conversation.end", "a", 5, outcome="handed_off")
    given.event("conversation.end", "a", 9, outcome="resolved")
    found = only(given)
    assert (found.outcome, found.confirmed, found.handoff) == ("resolved", True, True)


def test_activity_after_an_end_opens_it_again(given: Given) -> None:
    """Until it is idle again; what is no activity does not."""
    given.turn("a")
    given.event("conversation.end", "a", 5, outcome="resolved")
    given.event("action", "a", 8, action="link")
    given.turn("b")
    given.event("conversation.end", "b", 5, outcome="resolved")
    given.event("message", "b", 9, sender="user", text="One more thing")
    given.save()
    found = {
        one.conversation_id: (one.settled, one.ended, one.last_at)
        for one in every(given, replace(DAY, now=at(60)))
    }
    assert found == {"a": (True, True, at(1)), "b": (False, False, at(9))}


def test_other_evaluations_than_the_users_decide_nothing(given: Given) -> None:
    """A named evaluation score of 0 is no feedback."""
    given.turn()
    given.event("gen_ai.evaluation.result", evaluation="toxicity", score=0.0)
    found = only(given)
    assert (found.outcome, found.confirmed, found.feedback) == ("resolved", False, None)


def test_a_fallback_in_the_last_turn_abandons(given: Given) -> None:
    """Only the last turn's fallback does, and only a fallback: not a missing classifier."""
    given.turn(seconds=0, fallback=True)
    given.turn(seconds=10)
    assert only(given).outcome == "resolved"
    given.turn(seconds=20, fallback=True)
    assert only(given).outcome == "abandoned"


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ([("started", "order")], "abandoned"),
        ([("started", "order"), ("completed", "order")], "resolved"),
        ([("started", "order"), ("failed", "order")], "resolved"),
        ([("started", "order"), ("completed", "refund")], "abandoned"),
        ([("started", "order"), ("started", "order"), ("completed", "order")], "abandoned"),
        ([("completed", "order")], "resolved"),
    ],
)
def test_a_workflow_that_was_started_and_not_ended_abandons(
    given: Given, events: list[tuple[str, str]], outcome: str
) -> None:
    """Each workflow by its name: as many ends as starts."""
    given.turn()
    for index, (kind, name) in enumerate(events):
        given.event(f"workflow.{kind}", seconds=index, workflow=name)
    assert only(given).outcome == outcome


def test_engagement_adds_turns_actions_and_outcome(given: Given) -> None:
    """5 of 10 turns: 20; 2 of 3 actions: 13.33; resolved: 40; together 73.33."""
    for index in range(5):
        given.turn(seconds=index * 10)
    given.event("action", action="link")
    given.event("action", action="view")
    assert only(given).engagement_score == pytest.approx(20 + 40 / 3 + 40)


def test_engagement_is_capped_and_open_counts_half(given: Given) -> None:
    """12 turns count as 10, 4 actions as 3; open: 40 + 20 + 20."""
    for index in range(12):
        given.turn(seconds=index)
    for _ in range(4):
        given.event("action", action="link")
    assert only(given, replace(DAY, now=at(60))).engagement_score == 80


def test_engagement_of_the_abandoned_has_no_share_of_the_outcome(given: Given) -> None:
    """One turn that fell back: 4."""
    given.turn(fallback=True)
    assert only(given).engagement_score == 4


def test_turns_without_a_conversation_make_none(given: Given) -> None:
    """A turn without an id, and events without a turn, are no conversations."""
    given.turn(conversation="")
    given.event("conversation.start", conversation="silent")
    given.save()
    assert conversations(given.store, given.scope, DAY, Filters()).items == []


def test_a_conversation_belongs_to_the_window_in_which_it_started(given: Given) -> None:
    """Turns from 23:50 to 00:10 belong whole to the first day, and to no other."""
    midnight = 12 * 3600
    given.turn(seconds=midnight - 600)
    given.turn(seconds=midnight + 600, status="error")
    given.event("message", seconds=midnight + 700, sender="system")
    found = only(given)
    assert (found.turns, found.messages, found.outcome) == (2, 4, "failed")
    following = replace(DAY, start=DAY.end, end=DAY.end + timedelta(days=1))
    assert conversations(given.store, given.scope, following, Filters()).items == []


def test_late_feedback_changes_the_outcome_and_nothing_else(given: Given) -> None:
    """Feedback five days on turns an assumed resolution into a confirmed one."""
    given.turn(seconds=0, cost="0.25")
    given.turn(seconds=90)
    window = replace(DAY, now=at(6 * 86400))
    before = only(given, window)
    given.feedback(5, seconds=5 * 86400)
    after = only(given, window)
    assert (before.confirmed, after.confirmed) == (False, True)
    changed = {"confirmed", "feedback"}
    assert before.model_dump(exclude=changed) == after.model_dump(exclude=changed)


def test_asking_twice_gives_the_same_answer(given: Given) -> None:
    """Settling is worked out at query time and changes nothing in the store."""
    given.turn(status="error")
    assert only(given) == only(given)
