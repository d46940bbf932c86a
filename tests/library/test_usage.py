"""What a turn has used: its own word, the model calls inside, its result; each call once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace

from otel_chat import Config, chat_handler, model_call, turn
from otel_chat import semconv as sc
from otel_chat._usage import Children, Usage
from otel_chat.testing import Telemetry, assert_turn
from tests.usage_cases import CASES, Case, Told

KEYS = (
    sc.GEN_AI_INPUT_TOKENS,
    sc.GEN_AI_OUTPUT_TOKENS,
    sc.GEN_AI_CACHE_READ_TOKENS,
    sc.GEN_AI_REASONING_TOKENS,
)
FACTS = ("input_tokens", "output_tokens", "cache_read_tokens", "reasoning_tokens")


def attributes(told: Told) -> dict[str, Any]:
    given = dict(zip(KEYS, told.tokens, strict=True))
    given |= {sc.OPERATION_NAME: told.operation, sc.RESPONSE_ID: told.response_id}
    return {key: value for key, value in given.items() if value is not None}


@pytest.mark.parametrize("ends_first", ["inner", "outer"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_what_a_turn_takes_from_the_spans_inside(
    telemetry: Telemetry, case: Case, ends_first: str
) -> None:
    """Whoever makes the spans, and in whichever order they end, the tokens are the same."""
    tracer = telemetry.tracer_provider.get_tracer("another.library")
    with turn("a"):
        spans: dict[str, trace.Span] = {}
        for told in case.spans:
            here = None if told.parent is None else trace.set_span_in_context(spans[told.parent])
            spans[told.name] = tracer.start_span(told.name, here, attributes=attributes(told))
        for span in reversed(spans.values()) if ends_first == "inner" else spans.values():
            span.end()
    found = telemetry.only_turn()
    assert tuple(found[fact] for fact in FACTS) == case.expected


def answered(number: int, taken: int, made: int, **details: Any) -> dict[str, Any]:
    """A chat completion that tells its usage."""
    usage = {"prompt_tokens": taken, "completion_tokens": made, **details}
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "model": "gpt-4o-2024-08-06",
        "choices": [{"message": {"role": "assistant", "content": "x"}}],
        "usage": usage,
    }


CACHED = {"prompt_tokens_details": {"cached_tokens": 100}}


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (Told("a", (120, 3, None, None), response_id="chatcmpl-2"), (120, 3, 100)),
        (Told("a", (120, 3, None, None)), (120, 3, 100)),
        (Told("a", (20, 3, None, None)), (120, 3, 100)),
        (Told("a", (None, 3, None, None)), (120, 3, 100)),
        (Told("a", (0, 0, None, None)), (120, 3, 100)),
        (Told("a", (120, 3, 110, 1), response_id="chatcmpl-2"), (120, 3, 110)),
        (Told("a", (500, 60, None, None), response_id="run-1"), (500, 60, None)),
    ],
)
def test_a_span_that_knows_less_than_the_result_does_not_win(
    telemetry: Telemetry, inside: Told, expected: tuple[int, int, int | None]
) -> None:
    """The same call told twice is told by who knows more of it; another call stays what it is."""

    @chat_handler(agent="a")
    def answer() -> Any:
        tracer = telemetry.tracer_provider.get_tracer("another.library")
        tracer.start_span("x", attributes=attributes(inside)).end()
        return answered(2, 120, 3, **CACHED)

    answer()
    found = telemetry.only_turn()
    assert tuple(found[fact] for fact in FACTS[:3]) == expected


def test_the_result_tells_of_its_own_call_only(telemetry: Telemetry) -> None:
    """After a tool the handler returns the second answer: the first call stays as its span says."""

    @chat_handler(agent="a")
    def answer() -> Any:
        tracer = telemetry.tracer_provider.get_tracer("another.library")
        for told in (
            Told("a", (110, 20, None, None), response_id="chatcmpl-1"),
            Told("b", (130, 30, None, None), response_id="chatcmpl-2"),
        ):
            tracer.start_span("x", attributes=attributes(told)).end()
        return answered(2, 130, 30, **CACHED)

    answer()
    assert_turn(telemetry.only_turn(), input_tokens=240, output_tokens=50, cache_read_tokens=100)


def test_two_calls_of_ours_are_two_whatever_their_ids(telemetry: Telemetry) -> None:
    """A server that gives every answer one id, as mocks do, was asked twice all the same."""
    tracer = telemetry.tracer_provider.get_tracer("another.library")
    told = Told("a", (110, 20, None, None), response_id="chatcmpl-1")

    @model_call("gpt-4o")
    def ask() -> Any:
        tracer.start_span("x", attributes=attributes(told)).end()
        return answered(1, 110, 20)

    with turn("a"):
        ask()
        ask()
    assert_turn(telemetry.only_turn(), input_tokens=220, output_tokens=40)


def test_the_provider_is_what_the_model_call_says(telemetry: Telemetry) -> None:
    """Before what is guessed from the answer, after what the handler says of the turn."""
    ask = model_call("gpt-4o", provider="azure.ai.openai")(lambda: answered(1, 1, 1))
    silent = model_call("llama", provider="ollama")(lambda: "text")

    @chat_handler(agent="text")
    def text() -> str:
        ask()
        return "x"

    @chat_handler(agent="result")
    def result() -> Any:
        return ask()

    @chat_handler(agent="own", provider="me", model="mine")
    def own() -> Any:
        return ask()

    @chat_handler(agent="unknown usage")
    def unknown() -> str:
        return silent()

    @chat_handler(agent="nested")
    def nested() -> str:
        return text()

    for handler in (text, result, own, unknown, nested):
        handler()
    found = {t["agent"]: (t["model"], t["provider"]) for t in telemetry.turns}
    assert found == {
        "text": ("gpt-4o-2024-08-06", "azure.ai.openai"),
        "result": ("gpt-4o-2024-08-06", "azure.ai.openai"),
        "own": ("mine", "me"),
        "unknown usage": ("llama", "ollama"),
        "nested": ("gpt-4o-2024-08-06", "azure.ai.openai"),
    }


def test_another_librarys_provider_is_the_turns(telemetry: Telemetry) -> None:
    """A span of any library that carries usage and a provider tells both."""
    told = {**attributes(Told("a", (1, 1, None, None))), sc.PROVIDER_NAME: "cohere"}
    with turn("a"):
        telemetry.tracer_provider.get_tracer("x").start_span("chat", attributes=told).end()
    assert telemetry.only_turn()["provider"] == "cohere"


@pytest.mark.parametrize(
    "telemetry",
    [
        Config(
            price_table={"a": {"input": 1.0, "output": 1.0}, "b": {"input": 10.0, "output": 10.0}}
        )
    ],
    indirect=True,
)
@pytest.mark.parametrize("around", ["handler", "model call", "nested handler"])
def test_each_call_of_a_stream_has_its_own_price(telemetry: Telemetry, around: str) -> None:
    """A stream of two models' answers costs what each of them costs."""

    def both() -> Iterator[Any]:
        yield {**answered(1, 1_000_000, 0), "model": "a"}
        yield {**answered(2, 1_000_000, 0), "model": "b"}

    inner: Any = model_call("a") if around == "model call" else chat_handler(agent="inner")
    handler = both if around == "handler" else inner(both)

    @chat_handler(agent="a")
    def answer() -> Any:
        return handler() if around == "handler" else str(len(list(handler())))

    list(answer())
    found = telemetry.only_turn()
    assert_turn(found, input_tokens=2_000_000, cost=pytest.approx(11.0))


spans = st.lists(
    st.tuples(
        st.integers(0, 8),
        st.sampled_from([None, "r1", "r2", "r3"]),
        st.integers(0, 3),
        st.booleans(),
    ),
    max_size=8,
)


@given(spans)
def test_any_tree_of_spans_counts_each_id_at_most_once(
    told: list[tuple[int, str | None, int, bool]],
) -> None:
    """Nothing is counted twice, and nothing at all only where nothing was told."""
    children = Children()
    for number, (parent, response_id, tokens, carries) in enumerate(told, 1):
        children.started(number, parent if 0 < parent < number else None)
        if carries:
            children.used(number, Usage(input_tokens=tokens, response_id=response_id))
    calls = children.calls()
    ids = [call.response_id for call in calls if call.response_id is not None]
    assert len(ids) == len(set(ids))
    assert bool(calls) == any(carries for *_, carries in told)
