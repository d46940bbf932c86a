"""Results that are anything at all: nothing is raised, nothing is made up."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_chat.extract import Extracted, StreamState, extract
from tests.library.extract.wire import ANTHROPIC, CHAT, GOOGLE, RESPONSE

WORDS = sorted(
    {
        *("choices", "message", "delta", "usage", "object", "type", "role", "content", "model"),
        *("candidates", "usage_metadata", "usageMetadata", "promptTokenCount", "output", "text"),
        *("response_metadata", "messages", "kind", "parts", "run_id", "response", "event_kind"),
        *("intent", "name", "confidence", "entities", "queryResult", "match", "matchType", "id"),
        *(
            "recipient_id",
            "prompt_tokens",
            "input_tokens",
            "logprobs",
            "tool_calls",
            "messageStart",
        ),
        *(
            "chat.completion",
            "response.completed",
            "message_start",
            "assistant",
            "ai",
            "part_start",
        ),
    }
)


class Raising:
    """Every attribute raises, and so does looking at it in any other way."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):  # else neither pytest nor hypothesis could handle it
            return object.__getattribute__(self, name)
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        raise RuntimeError

    def __bool__(self) -> bool:
        raise RuntimeError


class RaisingDict(dict[str, Any]):
    """A dictionary whose look-ups raise."""

    def get(self, *_: object) -> Any:
        """Raises."""
        raise KeyError

    def __contains__(self, _: object) -> bool:
        raise KeyError


class Late:
    """Looks like a chat completion until it is read."""

    choices = (SimpleNamespace(message=SimpleNamespace(content="hi")),)

    @property
    def usage(self) -> object:
        """Raises."""
        raise ValueError


def cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {"object": "response", "type": "message", "role": "assistant"}
    value |= {key: [value] for key in ("output", "content", "messages", "choices", "candidates")}
    value |= dict.fromkeys(("message", "usage", "delta", "text", "match", "intent"), value)
    return value


def generator() -> Iterator[str]:
    yield "x"


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**15),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.builds(Raising),
    st.builds(Mock),
    st.builds(MagicMock),
    st.builds(object),
)


def as_object(value: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(**value)


values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner),
        st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
        st.dictionaries(st.sampled_from(WORDS), inner, max_size=5).map(as_object),
        st.dictionaries(st.sampled_from(WORDS), inner, max_size=5).map(RaisingDict),
    ),
    max_leaves=12,
)


def mutated(value: Any, path: list[int], replacement: Any) -> Any:
    """A copy of nested data in which what the path leads to is replaced."""
    if not path or not isinstance(value, dict | list) or not value:
        return replacement
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[path[0] % len(keys)]
    result = value.copy()
    result[key] = mutated(value[key], path[1:], replacement)
    return result


answers = st.builds(
    mutated,
    st.sampled_from([CHAT, RESPONSE, ANTHROPIC, GOOGLE]),
    st.lists(st.integers(0, 20), min_size=1, max_size=6),
    values,
)


def check(found: Extracted | None) -> None:
    """What was found has the types it is declared with, and values that can be."""
    if found is None:
        return
    for field in dataclasses.fields(found):
        value = getattr(found, field.name)
        if value is None or field.name in ("tool_calls", "parts"):
            continue
        if field.name.endswith("_tokens"):
            assert type(value) is int
            assert value >= 0
        elif field.name in ("cost", "confidence"):
            assert type(value) is float
        elif field.name == "fallback":
            assert type(value) is bool
        else:
            assert type(value) is str
    assert found.confidence is None or 0 <= found.confidence <= 1


@settings(max_examples=500, deadline=None)
@given(st.one_of(values, answers))
def test_any_object_is_taken_without_an_exception(value: object) -> None:
    """And so is a stream of them."""
    check(extract(value))
    state = StreamState(keeps_text=True)
    state.record_chunk(value)
    check(state.result())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(values, answers), max_size=4))
def test_any_chunk_is_taken_by_any_stream(chunks: list[object]) -> None:
    """A stream that changes its shape halfway is nobody's crash."""
    state = StreamState(keeps_text=True)
    for chunk in chunks:
        state.record_chunk(chunk)
    check(state.result())


@pytest.mark.parametrize(
    "value",
    [
        Raising(),
        RaisingDict(choices=[{}]),
        Mock(),
        MagicMock(),
        AsyncMock(),
        object(),
        object,
        generator(),
        lambda: None,
        (),
        [],
        {},
        {"reply": "hi"},
        "hi",
        b"hi",
        1.5,
        None,
        NotImplemented,
        sys,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_known_shape_says_nothing(value: object) -> None:
    """A mock has every attribute, but none of the right type."""
    assert extract(value) is None
    state = StreamState()
    state.record_chunk(value)
    assert state.result() is None


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, asyncio.CancelledError])
def test_what_is_no_exception_stays_with_its_object(error: type[BaseException]) -> None:
    """A property that gives a cancelled task's result raises its cancellation."""

    class Leaving:
        def __getattr__(self, name: str) -> Any:
            raise error(name)

    assert extract(Leaving()) is None
    state = StreamState(keeps_text=True)
    state.record_chunk(Leaving())
    state.record_chunk({"data": Leaving()})
    assert state.result() is None


def test_an_object_without_a_class_says_nothing() -> None:
    """Not even `isinstance` may be asked of it."""

    class Classless:
        @property  # type: ignore[misc]
        def __class__(self) -> type:
            raise RuntimeError

    assert extract(Classless()) is None
    assert extract({"choices": [{"message": {"content": Classless()}}]}) is None
    state = StreamState(keeps_text=True)
    state.record_chunk(Classless())
    assert state.result() is None


def test_a_cycle_ends() -> None:
    """Reading goes no deeper than the shape does."""
    check(extract(cyclic()))


def test_an_object_that_fails_halfway_still_says_the_rest() -> None:
    """A property that raises is taken as absent."""
    found = extract(Late())
    assert found is not None
    assert (found.text, found.input_tokens) == ("hi", None)


@pytest.mark.parametrize("count", [-1, True, "12", 1.5, 10**30, None])
def test_a_count_of_the_wrong_type_is_absent(count: object) -> None:
    """It is not turned into something that looks right."""
    usage = {"prompt_tokens": count, "completion_tokens": 3}
    found = extract({**CHAT, "usage": usage})
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (None, 3)


def test_a_reply_is_kept_up_to_a_limit() -> None:
    """A stream that never ends does not eat the memory."""
    chunk = {"choices": [{"delta": {"content": "x" * 10_000, "tool_calls": []}}]}
    state = StreamState()
    for number in range(1_000):
        call = {"id": str(number), "function": {"name": "t"}}
        chunk["choices"][0]["delta"]["tool_calls"] = [call]  # type: ignore[index]
        state.record_chunk(chunk)
    found = state.result()
    assert found is not None
    assert len(found.text or "") == 200_000
    assert len(found.tool_calls) == 128


def test_no_provider_is_imported() -> None:
    """Recognition is by shape alone."""
    code = (
        "import sys, otel_chat.extract as e; e.extract({'choices': [{'message': {}}]});"
        "bad = {'openai', 'anthropic', 'google.genai', 'langchain_core', 'pydantic_ai', 'litellm'};"
        "assert not bad & set(sys.modules), bad & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
