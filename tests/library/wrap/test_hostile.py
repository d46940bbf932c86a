"""Arguments and results of any make: the chat neither fails nor waits, and the rest is told."""

from __future__ import annotations

import inspect
import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

import otel_chat
from otel_chat import Config, Turn, chat_handler, current_turn, intent_classifier, model_call
from otel_chat import semconv as sc
from otel_chat._telemetry.runtime import Runtime, install
from otel_chat._telemetry.workers import reader
from otel_chat._turns.record_turn import TurnReport
from otel_chat._wrap.proxies import is_proxy
from otel_chat.errors import ConfigurationError
from otel_chat.testing import Telemetry
from tests.waiting import until

RELEASE = threading.Event()


class Hanging:
    """Whatever is asked of it takes for ever."""

    def __getattribute__(self, name: str) -> Any:
        RELEASE.wait()
        raise AttributeError(name)


class Raising:
    """Whatever is asked of it fails."""

    def _fail(self, *_: object) -> Any:
        raise OSError

    __getattr__ = __bool__ = __len__ = __iter__ = __eq__ = __hash__ = __str__ = __repr__ = _fail
    __float__ = __int__ = __index__ = __format__ = __getitem__ = __contains__ = _fail


class Ending(Raising):
    """Whatever is asked of it ends the thread."""

    def _fail(self, *_: object) -> Any:
        raise SystemExit

    __str__ = __iter__ = __bool__ = __repr__ = _fail


class Endless(Mapping[str, str]):
    """A mapping without an end."""

    def __getitem__(self, key: str) -> str:
        return key

    def __iter__(self) -> Iterator[str]:
        return map(str, itertools.count())

    def __len__(self) -> int:
        return 10**9


class HangingMapping(Endless):
    """One whose first item takes for ever."""

    def __iter__(self) -> Iterator[str]:
        RELEASE.wait()
        return iter(())


class OddText(str):
    """A text that can neither be hashed nor compared nor measured."""

    __slots__ = ()

    def _fail(self, *_: object) -> Any:
        raise OSError

    __hash__ = __eq__ = __len__ = __str__ = __repr__ = __bool__ = __getitem__ = _fail  # type: ignore[assignment]


class OddNumber(int):
    """A number that can be neither written nor compared."""

    def _fail(self, *_: object) -> Any:
        raise OSError

    __str__ = __repr__ = __bool__ = __index__ = _fail  # type: ignore[assignment]


def cycle() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


HOSTILE: dict[str, Callable[[], Any]] = {
    "hanging": Hanging,
    "raising": Raising,
    "ending": Ending,
    "endless mapping": Endless,
    "hanging mapping": HangingMapping,
    "endless iterator": itertools.count,
    "cycle": cycle,
    "odd text": lambda: OddText("text"),
    "odd number": lambda: OddNumber(7),
    "text": lambda: "text",
    "long text": lambda: "x" * 1_000_000,
    "huge number": lambda: 10**5000,
    "not a number": lambda: float("nan"),
    "bytes": lambda: b"bytes",
    "None": lambda: None,
    "class": lambda: Raising,
}
every_kind = pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)


@pytest.fixture(autouse=True)
def in_production(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OTEL_CHAT_RAISE", raising=False)
    monkeypatch.setattr(reader, "_seconds", 0.02)
    monkeypatch.setattr(reader, "_rest", 0.0)
    RELEASE.clear()
    yield
    RELEASE.set()


def arguments(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return [
        p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD
    ]


PLAIN: dict[str, Any] = {"source": "classifier", "status": "ok", "sender": "user", "duration": 1}


def called_with(function: Callable[..., Any], hostile: Callable[[], Any]) -> None:
    """Calls a function with the hostile value in each place in turn, the others plain."""
    for place in arguments(function):
        given = {
            p.name: PLAIN.get(p.name, 0.5 if p.name in ("value", "start") else "x")
            for p in arguments(function)
            if p.default is p.empty or p.name == "duration"
        }
        function(**{**given, place.name: hostile()})


METHODS = [
    name
    for name in dir(Turn)
    if hasattr(vars(Turn).get(name), "__wrapped__") and not name.startswith("_")
]


@every_kind
def test_no_report_of_a_turn_raises_or_hangs(make: Callable[[], Any]) -> None:
    """Every method, every argument: the handler answers, and its turn is told with the rest."""

    @chat_handler(agent="a", conversation_id="c")
    def answer(c: str) -> str:
        now = current_turn()
        for name in METHODS:
            called_with(getattr(now, name), make)
            getattr(now, name)(nothing=make())
        now.fields(channel=make(), user_id=make(), turn_index=make(), page="p")
        now.topic("kept")
        return c

    with Telemetry(Config(capture_content=True, user_hash_key="k")) as telemetry:
        assert answer("c-1") == "c-1"
        turn = telemetry.only_turn()
        assert (turn["status"], turn["conversation_id"], turn[sc.PAGE]) == ("ok", "c-1", "p")
        assert telemetry.events("otel_chat.topic")[-1].attributes[sc.TOPIC_NAME] == "kept"


@every_kind
def test_no_function_of_the_chat_raises_or_hangs(make: Callable[[], Any]) -> None:
    """Functions and blocks outside a turn, with every argument: reported at most."""
    if make is HOSTILE["class"]:
        pytest.skip("what can be called is decorated")
    with Telemetry(Config(capture_content=True)) as telemetry:
        for function in (otel_chat.feedback, otel_chat.message, otel_chat.handoff_ended):
            called_with(function, make)
            function(nothing=make())  # type: ignore[call-arg] # that is the point
        called_with(otel_chat.record_turn, make)
        for field in TurnReport.__annotations__:
            known = {"conversation_id": "c", "start": 1.0, "duration": 1.0}
            assert otel_chat.record_turn(**{**known, field: make()}) is not None  # type: ignore[arg-type]
        with otel_chat.conversation(make(), agent=make(), channel=make()) as talk:
            called_with(talk.message, make)
            called_with(talk.feedback, make)
            called_with(talk.end, make)
        with otel_chat.turn(make(), conversation_id=make(), message=make(), channel=make()) as now:
            with otel_chat.model_call(make(), provider=make()) as call:
                called_with(call.usage, make)
                call.result(make())
            with otel_chat.tool(make()), otel_chat.workflow(make()) as steps:
                steps.step(make())
            with otel_chat.handoff(make(), target=make()) as handing:
                handing.accepted(wait=make())
            with intent_classifier("nlu", source=make()) as nlu:
                nlu.result(make())
                nlu.intent(make(), make())
        assert now.trace_id is not None
        [ours] = [t for t in telemetry.turns if f"{t.span.context.trace_id:032x}" == now.trace_id]
        assert ours["status"] == "ok"


@every_kind
def test_no_result_makes_the_chat_wait(make: Callable[[], Any]) -> None:
    """Results, chunks and what a classifier says are looked into elsewhere, in bounded time."""
    value = make()

    @chat_handler(agent="a", conversation_id="c", message="text", reply=lambda result: value)
    def answer(c: object, text: object) -> Any:
        intent_classifier(lambda: value)()
        if not isinstance(type(value), type) or type(value) is not itertools.count:
            model_call("m")(lambda: value)()
        current_turn().result(value)
        current_turn().intent("i", data=value)
        return value

    @chat_handler(agent="b")
    def pieces() -> Iterator[Any]:
        yield value
        yield "text"

    with Telemetry() as telemetry:
        given = answer("c-1", "hi")
        assert given is value or is_proxy(given)
        chunks = pieces()
        assert next(chunks) is value
        assert list(chunks) == ["text"]
        del given
        assert {turn["agent"]: turn["status"] for turn in telemetry.turns} in (
            {"a": "ok", "b": "ok"},
            {"a": "cancelled", "b": "ok"},
        )


@every_kind
def test_what_stands_in_the_arguments_costs_itself_alone(make: Callable[[], Any]) -> None:
    """An id, an agent or a field that cannot be used leaves the turn and the other fields."""
    if make is Ending:
        pytest.skip("what ends the process in the caller's own thread ends it")
    value = make()

    def source(*_: object) -> Any:
        return value

    def failing(*_: object) -> Any:
        raise OSError

    @chat_handler(conversation_id=source, agent=source, channel=source, page="p")
    def one(text: object) -> str:
        return "answered"

    @chat_handler(conversation_id=failing, agent=failing, channel=failing, page="p")
    def two(text: object) -> str:
        return "answered"

    with Telemetry() as telemetry:
        assert (one(value), two(value)) == ("answered", "answered")
        assert [turn[sc.PAGE] for turn in telemetry.turns] == ["p", "p"]


@pytest.mark.parametrize(
    "decorate",
    [
        lambda value: otel_chat.tool(value)(len),
        lambda value: otel_chat.workflow(value)(len),
        lambda value: otel_chat.model_call(value)(len),
        lambda value: otel_chat.model_call("m", provider=value)(len),
        lambda value: otel_chat.handoff("r", target=value)(len),
        lambda value: otel_chat.intent_classifier("nlu", source=value)(len),
        lambda value: chat_handler(agent=value)(len),
        lambda value: chat_handler(reply=value)(len),
        lambda value: chat_handler(message=value)(len),
        lambda value: chat_handler(conversation_id=value)(len),
        chat_handler,
        otel_chat.tool("t"),
    ],
)
@pytest.mark.parametrize("value", [[], {}, b"x", object()])
def test_a_decorator_says_which_argument_is_wrong(
    decorate: Callable[[Any], Any], value: object
) -> None:
    """Found when the function is decorated, never in a chat; the value's type is named."""
    with pytest.raises(ConfigurationError, match=type(value).__name__):
        decorate(value)


@pytest.mark.parametrize(
    "decorate",
    [
        otel_chat.tool,
        otel_chat.model_call,
        otel_chat.workflow,
        otel_chat.handoff,
        otel_chat.intent_classifier,
        chat_handler,
        otel_chat.tool(),
        otel_chat.model_call(),
        otel_chat.workflow(),
        otel_chat.handoff(),
        otel_chat.intent_classifier(),
        chat_handler(),
    ],
)
def test_a_bare_decorator_leaves_a_function(decorate: Callable[..., Any]) -> None:
    """Without parentheses, or with empty ones: functions, methods, class and static methods."""

    class Bot:
        @decorate
        def method(self, text: str) -> str:
            return text

        @decorate
        @classmethod
        def of_class(cls, text: str) -> str:
            return text

        @staticmethod
        @decorate
        def static(text: str) -> str:
            return text

    @decorate
    def look_up(text: str) -> str:
        return text

    with Telemetry() as telemetry:
        calls = (look_up, Bot().method, Bot.of_class, Bot.static)
        assert [call("greet") for call in calls] == ["greet"] * 4
        assert look_up.__name__ == "look_up"
        names = [span.name.partition(" ")[2] for span in telemetry.spans]
    if "tool" in str(telemetry.spans[0].name) or "workflow" in telemetry.spans[0].name:
        assert names == ["look_up", "method", "of_class", "static"]


def test_a_bare_model_call_takes_its_model_from_the_answer() -> None:
    """No model's name is made up from the function's."""

    @model_call
    def ask() -> dict[str, Any]:
        usage = {"prompt_tokens": 3, "completion_tokens": 4}
        return {"object": "chat.completion", "model": "gpt-4o", "choices": [], "usage": usage}

    with Telemetry() as telemetry:
        with otel_chat.turn():
            ask()
        assert [span.name for span in telemetry.turns[0].inside] == ["chat"]
        assert telemetry.only_turn()["input_tokens"] == 3
        assert telemetry.only_turn()["model"] == "gpt-4o"


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (lambda t: t.confidence(7.0), "confidence must be a number from 0 to 1, not another float"),
        (lambda t: t.confidence("sure"), "confidence must be a number from 0 to 1, not str"),
        (lambda t: t.sentiment("sad"), "sentiment must be one of positive, neutral, negative"),
        (lambda t: t.usage(input_tokens=-1), "input_tokens must be a whole number between"),
        (lambda t: t.usage(tokens=1), "usage(): got an unexpected keyword argument 'tokens'"),
        (lambda t: t.handoff(["sad"]), "reason must be a text, not list"),
        (lambda t: t.fields(chanel="web"), "there is no field 'chanel'; there are agent_id"),
        (lambda t: t.metadata([1]), "mapping must be a mapping, not list"),
        (lambda t: t.cached("yes"), "flag must be True or False, not str"),
    ],
)
def test_the_log_says_which_argument_was_wrong(
    report: Callable[[Turn], None],
    said: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The argument, its value's type and what is allowed, once; the value never."""
    monkeypatch.setattr("otel_chat._telemetry.runtime._logged", set())
    with Telemetry(), caplog.at_level(logging.WARNING), otel_chat.turn() as now:
        report(now)
        report(now)
    assert caplog.text.count(said) == 1
    assert "sad" not in caplog.text


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, GeneratorExit, OSError])
@pytest.mark.parametrize("where", ["redactor", "topics", "sentiment", "escalation", "answer"])
def test_nothing_that_an_owners_function_raises_ends_the_delivery(
    where: str, end: type[BaseException]
) -> None:
    """The thread lives on, and the turn is told without what the function would have said."""

    def ending(_: object) -> Any:
        raise end

    def endings(_: object) -> Iterator[str]:
        yield "topic"
        raise end

    hooks: dict[str, Any] = {
        "redactor": {"redactor": ending},
        "topics": {"topic_detector": ending},
        "sentiment": {"sentiment_analyser": ending},
        "escalation": {"escalation_advisor": ending},
        "answer": {"topic_detector": endings},
    }
    runtime = Runtime(Config(capture_content=True, drain_seconds=0.01, **hooks[where]))
    before = install(runtime)
    done = threading.Event()
    try:
        chat_handler(agent="a", message="text")(lambda text: text)("hi")
        runtime.delivery.put((ending, None))
        runtime.delivery.put((done.set,))
        assert until(done.is_set)
        thread = runtime.delivery._thread
        assert thread is not None
        assert thread.is_alive()
        assert runtime.delivery.flush(5)
    finally:
        install(before)
        runtime.stop()


def test_a_redactor_that_hangs_is_left_to_itself() -> None:
    """Its text is withheld; the delivery goes on, and so do later turns."""

    def hanging(text: str) -> str:
        RELEASE.wait()
        return text

    config = Config(capture_content=True, redactor=hanging, hook_seconds=0.02)
    with Telemetry(config) as telemetry:
        for _ in range(3):
            chat_handler(agent="a", message="text")(lambda text: text)("secret")
        assert [turn["status"] for turn in telemetry.turns] == ["ok"] * 3
        assert "secret" not in "".join(map(str, telemetry.turns))


def test_an_exception_that_cannot_be_written_is_told_by_its_type() -> None:
    """The caller gets the exception itself, and the turn is an error."""

    class OddError(Exception):
        def __str__(self) -> str:
            raise OSError

    class HungError(Exception):
        def __str__(self) -> str:
            RELEASE.wait()
            return ""

    def fail(error: Exception) -> None:
        raise error

    with Telemetry(Config(capture_content=True)) as telemetry:
        for kind in (OddError, HungError):
            with pytest.raises(kind):
                chat_handler(agent="a")(fail)(kind())
        names = [turn["error_type"].rpartition(".")[2] for turn in telemetry.turns]
        assert names == ["OddError", "HungError"]
        assert len(telemetry.events("exception")) == 2


def test_many_names_that_redact_to_the_same_take_no_time() -> None:
    """Ten thousand addresses as keys become ten thousand marks."""
    data = {f"user{n}@example.org": n for n in range(9_000)}
    with Telemetry() as telemetry:
        with otel_chat.turn() as now:
            now.metadata(data)
        assert telemetry.only_turn()[sc.METADATA].count("[email]") == 9_000
