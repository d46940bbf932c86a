"""`@handoff`: requested, accepted with the wait, ended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from otel_chat import (
    ConfigurationError,
    chat_handler,
    conversation,
    handoff,
    handoff_ended,
    turn,
)
from otel_chat import semconv as sc
from otel_chat.testing import Telemetry, assert_turn

REQUESTED, ACCEPTED = sc.EVENT_HANDOFF_REQUESTED, sc.EVENT_HANDOFF_ACCEPTED
ENDED = sc.EVENT_HANDOFF_ENDED


def test_a_function_that_hands_over(telemetry: Telemetry) -> None:
    """Requested when it is called, accepted when it returns, with the seconds in between."""

    @handoff("user_request", target="billing")
    def hand_over() -> str:
        assert [e.name for e in telemetry.events()] == [REQUESTED]
        telemetry.clock.advance(seconds=40)
        return "Ada"

    with turn("a", conversation_id="c"):
        assert hand_over() == "Ada"
    found = telemetry.only_turn()
    assert_turn(
        found,
        handoff=True,
        handoff_reason="user_request",
        handoff_target="billing",
        keep=True,
        events=[REQUESTED, ACCEPTED],
        inside=["handoff billing"],
    )
    accepted = found.events[1].attributes
    assert accepted[sc.HANDOFF_WAIT] == pytest.approx(40, abs=0.1)
    assert accepted[sc.CONVERSATION_ID] == "c"
    (point,) = telemetry.metric(sc.METRIC_HANDOFFS).points
    assert point.attributes[sc.HANDOFF_REASON] == "user_request"


def fails() -> None:
    raise OSError("nobody there")


def refuses() -> bool:
    return False


@pytest.mark.parametrize("function", [fails, refuses])
def test_nobody_took_over(telemetry: Telemetry, function: Callable[[], Any]) -> None:
    """An exception or `False` leaves the request without an acceptance."""
    with turn("a"), contextlib.suppress(OSError):
        assert handoff(function)() is False
    assert_turn(telemetry.only_turn(), handoff_reason="unspecified", events=[REQUESTED])


async def test_reason_and_target_come_from_the_arguments(telemetry: Telemetry) -> None:
    """Functions of the decorated function's arguments, whatever its shape."""

    @handoff(reason=lambda why, queue: why, target=lambda why, queue: queue)
    async def hand_over(why: str, queue: str) -> None: ...

    async with turn("a"):
        await hand_over("low_confidence", "returns")
        await hand_over("user_request", queue="sales")
    requests = telemetry.events(REQUESTED)
    assert [e.attributes[sc.HANDOFF_REASON] for e in requests] == ["low_confidence", "user_request"]
    assert [e.attributes[sc.HANDOFF_TARGET] for e in requests] == ["returns", "sales"]


def test_a_block_says_when_it_was_accepted_and_ended(telemetry: Telemetry) -> None:
    """Each is reported once; the end may come after the turn's own."""
    with turn("a", conversation_id="c"), handoff("user_request") as transfer:
        transfer.accepted(wait=12.5)
        telemetry.clock.advance(seconds=100)
    transfer.ended()
    transfer.ended()
    found = telemetry.only_turn()
    assert_turn(found, events=[REQUESTED, ACCEPTED, ENDED])
    assert found.events[1].attributes[sc.HANDOFF_WAIT] == 12.5
    assert found.events[2].attributes[sc.CONVERSATION_ID] == "c"


def test_a_block_that_nobody_answered(telemetry: Telemetry) -> None:
    """`refused()` leaves the request as it is."""
    with turn("a"), handoff("user_request") as transfer:
        transfer.refused()
    assert_turn(telemetry.only_turn(), events=[REQUESTED])


def test_outside_a_turn_it_belongs_to_the_conversation(telemetry: Telemetry) -> None:
    """A desk that hands over by itself: the same events, and the count."""
    with conversation("c", agent="a"):
        handoff("user_request")(lambda: None)()
    handoff_ended("c", agent="a", target="billing")
    events = [e for e in telemetry.events() if "handoff" in e.name]
    assert [e.name for e in events] == [REQUESTED, ACCEPTED, ENDED]
    assert {e.attributes[sc.CONVERSATION_ID] for e in events} == {"c"}
    assert events[2].attributes[sc.HANDOFF_TARGET] == "billing"
    (point,) = telemetry.metric(sc.METRIC_HANDOFFS).points
    assert (point.value, point.attributes[sc.AGENT_NAME]) == (1, "a")


def test_the_turn_of_a_handler_is_handed_off(telemetry: Telemetry) -> None:
    """A sub-agent's handing over marks the turn around it."""

    @chat_handler(agent="inner")
    def inner() -> None:
        with handoff("user_request"):
            pass

    with turn("outer"):
        inner()
    assert_turn(telemetry.only_turn(), agent="outer", handoff=True)


def test_an_option_of_the_wrong_type_is_refused() -> None:
    """The error names the option, when a function is decorated."""
    with pytest.raises(ConfigurationError, match=r"target must be a text .* not int"):
        handoff("user_request", target=7)(len)  # type: ignore[call-overload]


@pytest.mark.parametrize("wait", [-1, "soon", float("nan")])
def test_a_wait_that_is_no_time_is_counted(
    telemetry: Telemetry, wait: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler goes on, the error is counted."""
    monkeypatch.delenv("OTEL_CHAT_RAISE")
    with turn("a"), handoff("user_request") as transfer:
        transfer.accepted(wait=wait)
    assert_turn(telemetry.only_turn(), events=[REQUESTED])
    assert telemetry.metric(sc.METRIC_TELEMETRY_ERRORS).total == 1
