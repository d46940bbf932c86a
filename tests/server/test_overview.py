"""The overview: each figure worked out by hand on one small day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from otel_chat.errors import QueryError
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.choices import choices
from otel_chat.server.questions.overview import Overview, overview, series
from tests.server.given import DAY, NOON, Given, at

HOUR = 3600


@pytest.fixture
def day(given: Given) -> Given:
    """Four conversations.

    a: two turns, resolved by feedback 5 of 5; b: a turn that asks for a human, one that fails;
    c: a fallback, left there; d: still open at 12:45, when the question is asked.
    """
    given.turn(
        "a", 0, 1.0, agent="shop", channel="web", intent="buy", confidence=0.9, fallback=False,
        input_tokens=100, output_tokens=20, cost="0.000000001", cost_source="local",
        response_model="small", time_to_first_chunk=0.25,
    )  # fmt: skip
    given.turn(
        "a", 60, 3.0, agent="shop", channel="web", intent="pay", confidence=0.7, fallback=False,
        input_tokens=300, output_tokens=40, cache_read_tokens=50, reasoning_tokens=10,
        cost="0.3", cost_source="provider", response_model="large",
    )  # fmt: skip
    given.feedback(5, "a", 120)
    given.event("message", "a", 130, sender="system")
    given.turn(
        "b", 100, 2.0, agent="help", channel="voice", intent="rage", confidence=0.5,
        fallback=False, handoff=True, handoff_reason="angry", cost_source="unpriced",
        input_tokens=10,
    )  # fmt: skip
    given.event("message", "b", 110, sender="human")
    given.event("message", "b", 111, sender="user")
    given.turn("b", 160, 4.0, agent="help", channel="voice", status="error", error_type="Timeout")
    given.turn(
        "c", 200, 5.0, agent="help", channel="web", confidence=0.3, fallback=True, handoff=False
    )
    given.turn("d", 2640, 6.0, agent="shop", channel="web", status="cancelled")
    given.save()
    return given


WINDOW = replace(DAY, now=at(2700))


def ask(given: Given, filters: Filters | None = None, window=WINDOW) -> Overview:
    return overview(given.store, given.scope, window, filters or Filters())


def test_counts_of_conversations_turns_and_messages(day: Given) -> None:
    """4 conversations, 6 turns; d's cancelled turn and b's failed one have no reply.

    User: 6 turns + 1 event; assistant: 4 replies; system 1; human 1.
    """
    found = ask(day)
    assert (found.conversations, found.active_conversations, found.turns) == (4, 1, 6)
    assert found.messages_by_sender.model_dump() == {
        "user": 7, "assistant": 4, "system": 1, "human": 1,
    }  # fmt: skip
    assert found.messages == 13


def test_a_turn_that_broke_off_after_its_reply_had_begun_counts_as_a_message(given: Given) -> None:
    """Whoever read the beginning of a reply got a message."""
    given.turn(status="cancelled", time_to_first_chunk=0.1)
    given.turn(status="error", time_to_first_chunk=0.1)
    given.save()
    assert ask(given).messages_by_sender.assistant == 2


def test_response_times_have_mean_and_exact_quantiles(day: Given) -> None:
    """Answered in 1, 2, 3 and 5 s; 4 s to a failure and 6 s to a cut without reply count not."""
    found = ask(day).response_time
    assert (found.count, found.mean, found.p50) == (4, 2.75, 2.5)
    assert found.p95 == pytest.approx(4.7)
    assert found.p99 == pytest.approx(4.94)


def test_time_to_first_chunk_covers_streamed_turns_only(day: Given) -> None:
    """One turn was streamed."""
    found = ask(day).time_to_first_chunk
    assert (found.count, found.mean, found.p50, found.p99) == (1, 0.25, 0.25, 0.25)


def test_tokens_are_summed_over_the_turns_that_reported_them(day: Given) -> None:
    """Input 100 + 300 + 10, output 20 + 40; three turns."""
    assert ask(day).tokens.model_dump() == {
        "input": 410, "output": 60, "cache_read": 50, "reasoning": 10, "total": 470, "turns": 3,
    }  # fmt: skip


def test_confidence_parts_at_the_threshold(day: Given) -> None:
    """0.9, 0.7, 0.5, 0.3: 0.7 is high; half is low; mean 0.6."""
    found = ask(day).confidence
    assert (found.count, found.low, found.high, found.low_rate) == (4, 2, 2, 0.5)
    assert found.mean == pytest.approx(0.6)


def test_fallbacks_are_counted_among_classified_turns(day: Given) -> None:
    """Four turns were classified, one of them without an intent; two nobody looked at."""
    found = ask(day).fallback
    assert (found.count, found.classified, found.rate) == (1, 4, 0.25)


def test_handoffs_and_errors(day: Given) -> None:
    """B asked for a human: 1 of 3 settled; one of 6 turns failed, and a cancelled one did not."""
    found = ask(day)
    assert found.handoffs.model_dump() == {
        "conversations": 1, "rate": 1 / 3, "count": 1, "turns": 1,
    }  # fmt: skip
    assert (found.errors.turns, found.errors.rate) == (1, 1 / 6)


def test_cost_is_summed_exactly_and_says_what_is_unpriced(day: Given) -> None:
    """0.3 + 0.000000001 to the last digit; one turn used a model without a price."""
    found = ask(day).cost
    assert found.amount == Decimal("0.300000001")
    assert (found.priced_turns, found.unpriced_turns, found.currency) == (2, 1, "USD")


def test_outcomes_containment_and_resolution(day: Given) -> None:
    """A resolved (confirmed), b handed off, c abandoned, d open.

    Settled 3, of which 2 without a human; resolved 1 of 3 by both bounds.
    """
    found = ask(day)
    assert found.outcomes.model_dump() == {
        "resolved": 1, "handed_off": 1, "abandoned": 1, "failed": 0, "open": 1,
    }  # fmt: skip
    assert (found.containment.count, found.containment.settled) == (2, 3)
    assert found.containment.rate == 2 / 3
    assert found.resolution.model_dump() == {
        "low": 1 / 3, "high": 1 / 3, "confirmed": 1, "assumed": 0, "settled": 3,
    }  # fmt: skip


def test_engagement_and_mean_length(day: Given) -> None:
    """Scores 48, 28, 4, 24: mean 26. Of the settled: 2, 2, 1 turns and 5, 5, 2 messages.

    Durations: a 63 s, as a message of the system is no activity, b 64 s, c 5 s.
    """
    found = ask(day).engagement
    assert found.score == pytest.approx(26)
    assert (found.turns, found.messages, found.duration) == (5 / 3, 4, 44)


def test_satisfaction_on_every_scale(day: Given) -> None:
    """5 of 1-5 and 1 of 1-5: mean share 0.5, half in the top two boxes, mean 3 on the scale."""
    day.feedback(1, "c", 300)
    day.save()
    found = ask(day).satisfaction
    assert found.model_dump() == {
        "mean": 0.5, "top_share": 0.5, "original_mean": 3.0, "count": 2,
    }  # fmt: skip
    day.feedback(1, "c", 400, scale=(0, 1))
    day.save()
    found = ask(day).satisfaction
    assert (found.mean, found.top_share) == (2 / 3, 2 / 3)
    assert found.original_mean is None


def test_without_data_figures_are_null_with_their_sample_size(given: Given) -> None:
    """Nothing happened: counts are 0, and nothing that is divided has a value."""
    found = ask(given)
    assert (found.conversations, found.turns, found.messages) == (0, 0, 0)
    assert found.response_time.model_dump() == {
        "mean": None, "p50": None, "p95": None, "p99": None, "count": 0,
    }  # fmt: skip
    assert found.tokens.total is None
    assert found.confidence.low_rate is None
    assert found.fallback.rate is None
    assert found.handoffs.rate is None
    assert found.errors.rate is None
    assert found.cost.amount is None
    assert found.containment.rate is None
    assert (found.resolution.low, found.resolution.high) == (None, None)
    assert found.engagement.score is None
    assert found.satisfaction.mean is None
    assert found.changes["turns"].relative is None


def test_the_change_is_against_the_window_before(given: Given) -> None:
    """Two turns yesterday, three today: one more, by a half; cost from 2 to 1."""
    for seconds in (-86400, -86000):
        given.turn("old", seconds, cost="1")
    for index in range(3):
        given.turn(f"new-{index}", index * 100, cost="1" if index == 0 else None)
    given.save()
    found = ask(given, window=DAY)
    turns, cost = found.changes["turns"], found.changes["cost"]
    assert (turns.value, turns.previous, turns.difference, turns.relative) == (3, 2, 1, 0.5)
    assert (cost.value, cost.previous, cost.relative) == (1, 2, -0.5)
    assert found.previous.conversations == 1
    assert found.previous_window.end == found.window.start == DAY.start


@pytest.mark.parametrize(
    ("filters", "turns", "conversations"),
    [
        (Filters(agent="shop"), 3, 2),
        (Filters(channel="voice"), 2, 1),
        (Filters(agent="help", channel="web"), 1, 1),
        (Filters(model="large"), 1, 1),
        (Filters(intent="buy"), 1, 1),
        (Filters(confidence_min=0.5), 3, 2),
        (Filters(confidence_min=0.5, confidence_max=0.6), 1, 1),
        (Filters(conversation_id="b"), 2, 1),
        (Filters(outcome="resolved"), 2, 1),
        (Filters(outcome="open"), 1, 1),
        (Filters(state="settled"), 5, 3),
        (Filters(handoff=True), 2, 1),
        (Filters(handoff=False), 4, 3),
        (Filters(handoff=False, agent="help"), 1, 1),
        (Filters(agent="nobody"), 0, 0),
    ],
)
def test_filters_limit_turns_and_conversations(
    day: Given, filters: Filters, turns: int, conversations: int
) -> None:
    """Turns that match; conversations, whole, of which any turn matches."""
    found = ask(day, filters)
    assert (found.turns, found.conversations) == (turns, conversations)


def test_messages_and_feedback_follow_their_conversations_through_filters(day: Given) -> None:
    """Of agent shop: three turns, two replies, a's system message and a's feedback."""
    found = ask(day, Filters(agent="shop"))
    assert (found.messages, found.satisfaction.count) == (6, 1)


def test_series_has_every_bucket_and_its_parts_sum_to_the_whole(day: Given) -> None:
    """24 buckets of an hour; all but the one of noon are empty."""
    found = series(day.store, day.scope, WINDOW, Filters(), "1h")
    assert [point.turns for point in found.points] == [0] * 12 + [6] + [0] * 11
    noon = found.points[12]
    assert noon.start == at(0)
    assert noon.conversations == 4
    assert noon.response_time.mean == 2.75
    assert found.points[0].response_time.mean is None


def test_buckets_that_begin_before_the_window_hold_only_what_is_in_it(given: Given) -> None:
    """A window from 12:30: the turn of 12:10 is not in the bucket of 12:00."""
    given.turn("a", 600)
    given.turn("b", 2000)
    given.save()
    window = replace(DAY, start=at(1800), end=at(1800 + 2 * HOUR))
    found = series(given.store, given.scope, window, Filters(), "1h")
    assert [point.turns for point in found.points] == [1, 0, 0]
    assert found.points[0].start == at(0)


def test_weeks_begin_on_monday(given: Given) -> None:
    """10 November 2026 is a Tuesday: its week began on the 9th."""
    given.turn()
    given.save()
    window = replace(DAY, end=DAY.end + timedelta(days=7))
    found = series(given.store, given.scope, window, Filters(), "1w")
    assert [point.start.day for point in found.points] == [9, 16]
    assert [point.turns for point in found.points] == [1, 0]


def test_too_many_buckets_are_refused(given: Given) -> None:
    """A year by the quarter of an hour would be 35,040 points."""
    window = replace(DAY, start=DAY.start - timedelta(days=365))
    with pytest.raises(QueryError, match="more than 1000 points"):
        series(given.store, given.scope, window, Filters(), "15m")


def test_choices_are_what_occurs_in_the_window(day: Given) -> None:
    """Agents, channels, models and intents by name, the empty ones left out."""
    found = choices(day.store, day.scope, DAY)
    assert found.agents == ["help", "shop"]
    assert found.channels == ["voice", "web"]
    assert found.models == ["large", "small"]
    assert found.intents == ["buy", "pay", "rage"]


def test_spans_of_other_instrumentations_count_as_turns(given: Given) -> None:
    """A foreign root with a conversation id is a turn of that conversation."""
    given.turn("a", foreign=True)
    given.turn("a", 10)
    given.save()
    found = ask(given)
    assert (found.turns, found.conversations) == (2, 1)


def test_conversations_may_live_for_centuries_together(given: Given) -> None:
    """Four of 90 years each: more nanoseconds than 64 bits hold."""
    begun = datetime(2001, 1, 1, tzinfo=UTC)
    years = (datetime(2091, 1, 1, tzinfo=UTC) - begun).total_seconds()
    first = (begun - NOON).total_seconds()
    for name in "abcd":
        given.turn(name, first)
        given.turn(name, first + years - 1)
    given.save()
    window = Window(begun, begun + timedelta(days=1), begun + timedelta(seconds=years * 1.01))
    found = overview(given.store, given.scope, window, Filters())
    assert found.engagement.duration == pytest.approx(years)
