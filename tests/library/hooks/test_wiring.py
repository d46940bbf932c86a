"""Hooks on a turn that is over: what they are told, what becomes of it, what cannot break."""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from otel_chat import Config, ConfigurationError, chat_handler, conversation, current_turn, turn
from otel_chat import semconv as sc
from otel_chat._telemetry.workers import Worker
from otel_chat.hooks import Advice, EscalationAdvisor, SentimentAnalyser, Situation, TopicDetector
from otel_chat.testing import Telemetry, assert_turn
from tests.waiting import until

HOOKS = ("topic_detector", "sentiment_analyser", "escalation_advisor")
CARD = "4111 1111 1111 1111"


def one_turn(text: str = "Where is my parcel?", conversation_id: str = "c") -> None:
    with turn("a", conversation_id=conversation_id, message=text):
        pass


def topics(telemetry: Telemetry) -> list[str]:
    return [e.attributes[sc.TOPIC_NAME] for e in telemetry.events(sc.EVENT_TOPIC)]


def test_what_the_hooks_say_is_recorded() -> None:
    """Topics and advice as events of the turn, the sentiment on its span; content stays off."""
    config = Config(
        topic_detector=TopicDetector({"delivery": ["parcel"], "billing": ["invoice*"]}),
        sentiment_analyser=SentimentAnalyser(),
        escalation_advisor=EscalationAdvisor(),
    )
    with Telemetry(config) as telemetry:

        @chat_handler(agent="a", message="text")
        def answer(text: str) -> str:
            return "Sorry."

        answer("This is awful: no parcel, no parcel, two invoices. Let me talk to a person!")
        found = telemetry.only_turn()
    assert_turn(
        found,
        sentiment="negative",
        events=[sc.EVENT_TOPIC, sc.EVENT_TOPIC, sc.EVENT_CUSTOM],
    )
    assert topics(telemetry) == ["delivery", "billing"]
    advice = found.events[2].attributes
    assert advice[sc.EVENT_CUSTOM_NAME] == sc.HANDOFF_ADVISED
    assert advice[sc.HANDOFF_REASON] == "user_request"
    assert "awful" not in str(found)


def test_advice_hands_nothing_over() -> None:
    """No handoff is requested, counted or said of the turn."""
    with Telemetry(Config(escalation_advisor=lambda _: "angry", keep_rate=0)) as telemetry:
        one_turn()
        assert_turn(telemetry.only_turn(), handoff=None, handoff_reason=None, keep=False)
        assert telemetry.metric(sc.METRIC_HANDOFFS).total == 0
        assert telemetry.events(sc.EVENT_HANDOFF_REQUESTED) == []


@pytest.mark.parametrize("capture", [True, False])
def test_hooks_see_redacted_text_in_threads_of_their_own(capture: bool) -> None:
    """Not the caller's, and not before the turn is over."""
    seen: list[tuple[str, threading.Thread]] = []

    def detect(text: str) -> None:
        seen.append((text, threading.current_thread()))

    with Telemetry(Config(topic_detector=detect, capture_content=capture)) as telemetry:
        one_turn(f"my card is {CARD}")
        assert seen == []
        found = telemetry.only_turn()
    ((text, thread),) = seen
    assert "my card is" in text
    assert CARD not in text
    assert thread is not threading.current_thread()
    assert ("my card is" in str(found)) is capture


def test_the_handlers_own_sentiment_wins() -> None:
    """The analyser is not even asked."""
    asked: list[str] = []
    with Telemetry(Config(sentiment_analyser=asked.append)) as telemetry:
        with turn("a", message="hm") as now:
            now.sentiment("positive")
        assert_turn(telemetry.only_turn(), sentiment="positive")
    assert asked == []


def test_without_a_message_only_the_advisor_is_asked() -> None:
    """There is no text to look at, but the turn may have failed."""
    asked: list[Any] = []
    given = Config(
        sentiment_analyser=asked.append,
        topic_detector=asked.append,
        escalation_advisor=asked.append,
    )
    with Telemetry(given) as telemetry, turn("a"):
        pass
    assert telemetry.turns
    assert asked == [Situation(text="")]


def test_a_sub_agents_turn_is_not_looked_at_twice() -> None:
    """The hooks run once for a turn, on the user's message."""
    asked: list[str] = []

    @chat_handler(agent="inner", message="text")
    def inner(text: str) -> str:
        return text

    with Telemetry(Config(topic_detector=asked.append)) as telemetry:
        with turn("outer", message="outer"):
            inner("inner")
        assert telemetry.turns
    assert asked == ["outer"]


def test_the_advisor_knows_where_the_conversation_stands() -> None:
    """Fallbacks and negative messages in a row, and handoffs, by conversation."""
    seen: list[Situation] = []
    config = Config(
        sentiment_analyser=lambda text: "negative" if "bad" in text else "neutral",
        escalation_advisor=seen.append,
    )
    with Telemetry(config) as telemetry:

        def say(text: str, intent: str | None, *, name: str = "c", handoff: bool = False) -> None:
            with turn("a", conversation_id=name, message=text):
                current_turn().intent(intent, 0.4)
                if handoff:
                    current_turn().handoff("user_request")

        say("bad", None)
        say("bad", None)
        say("fine", "greet")
        say("bad", None, name="another")
        say("x", "greet", handoff=True)
        say("x", "greet")
        telemetry.runtime.flush()
    rows = [(s.fallbacks, s.negatives, s.handed_off) for s in seen]
    assert rows == [
        (1, 1, False),
        (2, 2, False),
        (0, 0, False),
        (1, 1, False),
        (0, 0, True),
        (0, 0, True),
    ]
    assert {s.confidence for s in seen} == {0.4}


def test_a_conversation_that_begins_anew_has_no_past() -> None:
    """What was said before an explicit end does not count."""
    seen: list[Situation] = []
    with Telemetry(Config(escalation_advisor=seen.append)) as telemetry:
        with conversation("c", agent="a") as talk:
            with turn("a") as now:
                now.intent(None)
                now.handoff("user_request")
            telemetry.runtime.flush()
            talk.end("handed_off")
        with turn("a", conversation_id="c") as now:
            now.intent(None)
        telemetry.runtime.flush()
    assert [(s.fallbacks, s.handed_off) for s in seen] == [(1, True), (1, False)]


def raises(_: object) -> Any:
    raise OSError("broken")


def exits(_: object) -> Any:
    raise SystemExit


def nonsense(_: object) -> Any:
    return 7


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("broken", [raises, exits, nonsense])
def test_a_hook_that_fails_costs_its_own_word_alone(
    hook: str,
    broken: Callable[[object], Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Counted each time, logged once; the turn and the other hooks go on."""
    monkeypatch.delenv("OTEL_CHAT_RAISE")
    monkeypatch.setattr("otel_chat._telemetry.runtime._logged", set())
    hooks: dict[str, Any] = {
        "topic_detector": lambda _: ["delivery"],
        "sentiment_analyser": lambda _: "neutral",
        "escalation_advisor": lambda _: Advice("error"),
        hook: broken,
    }
    with Telemetry(Config(**hooks)) as telemetry, caplog.at_level(logging.WARNING, "otel_chat"):
        one_turn()
        one_turn()
        for found in telemetry.turns:
            sentiment = None if hook == "sentiment_analyser" else "neutral"
            assert_turn(found, status="ok", sentiment=sentiment)
            assert len(found.events) == (2 if hook == "sentiment_analyser" else 1)
        (errors,) = telemetry.metric(sc.METRIC_TELEMETRY_ERRORS).points
    assert (errors.value, errors.attributes[sc.TELEMETRY_COMPONENT]) == (2, hook)
    assert len([r for r in caplog.records if hook in r.message]) == 1


def test_a_hook_that_hangs_is_left_alone_until_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds up the telemetry for one bound, whatever comes; never a second thread."""
    monkeypatch.delenv("OTEL_CHAT_RAISE")
    release, calls = threading.Event(), []

    def hangs(text: str) -> str:
        calls.append(text)
        release.wait(60)
        return "back"

    with Telemetry(Config(topic_detector=hangs, hook_seconds=0.01)) as telemetry:
        for number in range(5):
            one_turn(f"message {number}")
        assert len(telemetry.turns) == 5
        assert calls == ["message 0"]
        assert telemetry.metric(sc.METRIC_TELEMETRY_ERRORS).total == 5
        assert topics(telemetry) == []
        release.set()

        def is_back() -> bool:
            one_turn("again")
            return bool(topics(telemetry))

        until(is_back)
        assert topics(telemetry)[0] == "back"


def test_the_thread_of_a_hook_ends_with_its_runtime() -> None:
    """Nothing is left behind."""
    # Of tests before this one, some have hooks that hang
    before = set(threading.enumerate())

    def running() -> list[str]:
        gc.collect()
        new = set(threading.enumerate()) - before
        return [t.name for t in new if "topic_detector" in t.name]

    with Telemetry(Config(topic_detector=lambda _: None)) as telemetry:
        one_turn()
        assert telemetry.turns
        assert len(running()) == 1
    del telemetry
    until(lambda: not running())


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_a_function(hook: str) -> None:
    """Anything else is refused by name."""
    with pytest.raises(ConfigurationError, match=hook):
        Config(**{hook: "vader"})  # type: ignore[arg-type]


def test_a_worker_works_in_the_child_of_a_fork() -> None:
    """Its thread does not survive the fork; the child starts one of its own."""
    worker = Worker(str.upper, "upper")
    assert worker.call("parent", seconds=10) == "PARENT"
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if worker.call("child", seconds=10) == "CHILD" else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
