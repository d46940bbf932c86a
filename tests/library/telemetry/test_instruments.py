"""The table of instruments and the caps on their series."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_chat import (
    Config,
    chat_handler,
    conversation,
    current_turn,
    feedback,
    model_call,
    tool,
    turn,
)
from otel_chat import semconv as sc
from otel_chat._telemetry.instruments import (
    BY_NAME,
    CAPS,
    CLOSED,
    DEFAULT_CAP,
    SET_LIMIT,
    TABLE,
    Kind,
)
from otel_chat.testing import Telemetry


def test_the_table_names_each_metric_once() -> None:
    """Every metric's name of the contract stands in the table, once."""
    names = {v for k, v in vars(sc).items() if k.startswith("METRIC_")}
    assert {line.name for line in TABLE} == names
    assert len(BY_NAME) == len(TABLE)


def test_bounds_ascend_and_read_as_written() -> None:
    """Bounds ascend, and none shows a rounding error as a label (0.7, never 0.7000000000000001)."""
    for line in TABLE:
        bounds = line.bounds or ()
        assert list(bounds) == sorted(set(bounds)), line.name
        assert all(len(repr(bound)) <= 12 for bound in bounds), line.name
        assert (line.kind is Kind.HISTOGRAM) is bool(bounds), line.name
    assert 0.7 in (BY_NAME[sc.METRIC_TURN_CONFIDENCE].bounds or ())
    assert 3.0 in (BY_NAME[sc.METRIC_TURN_DURATION].bounds or ())


def test_no_metric_carries_what_is_unbounded() -> None:
    """Neither conversation, user, text nor trace stands on a metric."""
    forbidden = re.compile(r"conversation\.id|user|text|trace|message|metadata")
    assert [a for line in TABLE for a in line.attributes if forbidden.search(a)] == []


def worst_case() -> tuple[int, int]:
    """Attribute sets, and series in Prometheus, of a process at most.

    By the caps, and by the limit of each instrument.
    """
    total = series = 0
    for line in TABLE:
        sets = 1
        for attribute in line.attributes:
            # every value kept, the folded one, and absent
            values = (
                len(CLOSED[attribute]) if attribute in CLOSED else CAPS.get(attribute, DEFAULT_CAP)
            )
            sets *= values + 2
        sets = min(sets, SET_LIMIT)
        total += sets
        series += sets * (len(line.bounds or ()) + 3 if line.kind is Kind.HISTOGRAM else 1)
    return total, series


def test_hostile_input_makes_no_more_series_than_the_documented_worst_case() -> None:
    """10,000 different intents, reasons, channels, agents and models stay within the caps."""
    with Telemetry(Config(keep_rate=0, queue_size=1_000_000)) as telemetry:
        for number in range(10_000):
            with turn(
                f"agent {number}", channel=f"channel {number}", model=f"model {number}"
            ) as now:
                now.intent(f"intent {number}", 0.5)
                now.handoff(f"reason {number}", target=f"target {number}")
                now.action(f"action {number}")
                now.usage(input_tokens=1, output_tokens=1, cost=0.1)
            if number % 1000 == 0:
                telemetry.runtime.flush()
        for line in TABLE:
            points = telemetry.metric(line.name).points
            assert len(points) <= SET_LIMIT, line.name
            for attribute in line.attributes:
                values = {p.attributes.get(attribute) for p in points} - {None, sc.OTHER}
                cap = len(CLOSED.get(attribute, ())) or CAPS.get(attribute, DEFAULT_CAP)
                assert len(values) <= cap, (line.name, attribute)
        total = sum(len(metric.points) for metric in telemetry.metrics())
        assert total <= worst_case()[0]
        duration = telemetry.metric(sc.METRIC_TURN_DURATION)
        assert sum(point.count or 0 for point in duration.points) == 10_000
        capped = telemetry.metric(sc.METRIC_CAPPED_ATTRIBUTES)
        assert {p.attributes[sc.TELEMETRY_ATTRIBUTE] for p in capped.points} >= {
            sc.AGENT_NAME,
            sc.CHANNEL,
            sc.INTENT_NAME,
            sc.HANDOFF_REASON,
        }


def test_the_documented_worst_case_is_the_true_one() -> None:
    """docs/metrics.md states the numbers that follow from the table and the caps."""
    page = Path(__file__).parents[3] / "docs" / "metrics.md"
    sets, series = worst_case()
    assert f"**Worst case: {series:,} series** (of {sets:,} attribute sets)" in page.read_text()


@settings(max_examples=30, deadline=None)
@given(names=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=40))
def test_folding_loses_no_count(names: list[str]) -> None:
    """Whatever the names, every action is counted, under its own name or `_other`."""
    with Telemetry() as telemetry:
        with turn("a"):
            for name in names:
                current_turn().action(name)
        assert telemetry.metric(sc.METRIC_ACTIONS).total == len(names)


def test_a_round_counts_every_turn_with_the_exemplar_of_one() -> None:
    """Turns of one round are all counted; the counter's exemplar is the trace of one of them."""
    with Telemetry(Config(keep_rate=1)) as telemetry:
        turns = []
        for _ in range(5):
            with turn("a", conversation_id="c") as now:
                now.intent("parcel", 0.9)
            turns.append(now.trace_id)
        (point,) = telemetry.metric(sc.METRIC_INTENTS).points
    assert point.value == 5
    assert {f"{trace:032x}" for trace in point.exemplars} <= set(turns)
    assert point.exemplars


def test_the_child_of_a_fork_does_not_count_what_its_parent_counts() -> None:
    """What was counted but not added yet at a fork is the parent's."""
    with Telemetry() as telemetry:
        instruments = telemetry.runtime.instruments
        instruments.tally(sc.METRIC_ACTIONS, {sc.AGENT_NAME: "a"}, None)
        instruments.forget()
        instruments.tally(sc.METRIC_ACTIONS, {sc.AGENT_NAME: "a"}, None)
        assert telemetry.metric(sc.METRIC_ACTIONS).total == 1


@pytest.mark.parametrize("rate", [0.0, 1.0])
@pytest.mark.parametrize(
    "name",
    [
        sc.METRIC_CLIENT_OPERATION_DURATION,
        sc.METRIC_EXECUTE_TOOL_DURATION,
        sc.METRIC_FEEDBACK_SCORE,
    ],
)
def test_steps_and_feedback_leave_an_exemplar_where_the_conversation_is_kept(
    name: str, rate: float
) -> None:
    """A kept conversation's model calls, tools and feedback open its trace; others leave none."""
    with Telemetry(Config(keep_rate=rate)) as telemetry:
        with turn("a", conversation_id="c") as now, model_call("m"), tool("t"):
            pass
        feedback(1, agent="a", trace_id=now.trace_id, span_id=now.span_id, conversation_id="c")
        (point,) = telemetry.metric(name).points
    assert [f"{t:032x}" for t in point.exemplars] == [now.trace_id] * int(rate)


def test_known_series_start_at_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counters of declared agents and known values exist before their first count."""
    monkeypatch.setattr("otel_chat._telemetry.runtime.declared", {})
    config = Config(known_values={sc.AGENT_NAME: ["a"], sc.CHANNEL: ["web"], sc.ERROR_TYPE: ["E"]})
    with Telemetry(config) as telemetry:
        telemetry.runtime.flush()
        raw = {
            (metric.name, tuple(sorted((point.attributes or {}).items())), point.value)
            for metric in telemetry._collect()
            for point in metric.data.data_points
            if hasattr(point, "value")
        }
    labels = ((sc.AGENT_NAME, "a"), (sc.CHANNEL, "web"))
    assert (sc.METRIC_LOW_CONFIDENCE, tuple(sorted(labels)), 0) in raw
    errors = tuple(sorted((*labels, (sc.ERROR_TYPE, "E"))))
    assert (sc.METRIC_TURN_ERRORS, errors, 0) in raw
    dropped = ((sc.TELEMETRY_SIGNAL, "events"),)
    assert (sc.METRIC_TELEMETRY_DROPPED, dropped, 0) in raw


def kept(telemetry: Telemetry) -> set[object]:
    """The agents that metrics tell by their names."""
    points = telemetry.metric(sc.METRIC_TURN_DURATION).points
    return {point.attributes.get(sc.AGENT_NAME) for point in points} - {sc.OTHER}


@pytest.mark.parametrize("numbers", [range(30), range(29, -1, -1)], ids=["up", "down"])
def test_known_names_keep_theirs_whoever_comes_first(numbers: Iterable[int]) -> None:
    """After a restart with more agents than the cap the same ones have series of their own."""
    known = [f"agent {number}" for number in range(10, 30)]
    with Telemetry(Config(known_values={sc.AGENT_NAME: known})) as telemetry:
        for number in numbers:
            with turn(f"agent {number}"):
                pass
        assert kept(telemetry) == set(known)


def test_of_declared_handlers_the_first_keep_their_names(caplog: pytest.LogCaptureFixture) -> None:
    """In the order of declaration, whatever the order of turns; what does not fit is said once."""
    handlers = [chat_handler(agent=f"agent {number}")(str.upper) for number in range(30)]
    with Telemetry() as telemetry:
        for handler in reversed(handlers):
            handler("hello")
        assert kept(telemetry) == {f"agent {number}" for number in range(20)}
    (said,) = [line for line in caplog.messages if "known" in line]
    assert f"20 values of {sc.AGENT_NAME}" in said
    assert "from 'agent 20' on" in said


def test_open_things_read_zero_after_the_stop() -> None:
    """The last export shows no open turn and no open conversation."""
    with Telemetry() as telemetry, conversation("c", agent="a"), turn("a"):
        assert telemetry.metric(sc.METRIC_TURN_ACTIVE).total == 1
        assert telemetry.metric(sc.METRIC_CONVERSATION_ACTIVE).total == 1
        telemetry.runtime.flushers = []
        telemetry.runtime.stop()
        assert telemetry.metric(sc.METRIC_TURN_ACTIVE).total == 0
        assert telemetry.metric(sc.METRIC_CONVERSATION_ACTIVE).total == 0


def test_feedback_is_a_score_between_0_and_1() -> None:
    """The histogram takes the score, whatever the scale was."""
    with Telemetry() as telemetry:
        feedback(4, conversation_id="c", agent="a")
        feedback(0, scale=(0, 10), name="relevance", agent="a")
        points = telemetry.metric(sc.METRIC_FEEDBACK_SCORE).points
    scores = {p.attributes[sc.EVALUATION_NAME]: p.value for p in points}
    assert scores == {"user_feedback": 0.75, "relevance": 0}
