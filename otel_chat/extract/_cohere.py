"""Cohere: answers of its chat interface, versions 2 and 1, whole and streamed."""

from __future__ import annotations

from typing import Any, Final

from otel_chat.extract._draft import Draft, Tokens
from otel_chat.extract._reading import count, get, items, joined, name, text

_EVENTS: Final = frozenset({"message-start", "content-delta", "tool-call-start", "message-end"})
_FORMER_EVENTS: Final = frozenset({"stream-start", "text-generation", "stream-end"})


def is_answer(value: Any) -> bool:
    """Whether this is an answer, or an event of a stream."""
    if text(get(value, "type")) in _EVENTS:
        return get(value, "delta") is not None
    return (
        text(get(value, "finish_reason")) is not None
        and text(get(value, "message", "role")) == "assistant"
        and _counts(get(value, "usage")) is not None
    )


def read(draft: Draft, value: Any) -> None:
    """Takes an answer or an event. Neither names its model."""
    kind = text(get(value, "type"))
    delta = value if kind not in _EVENTS else get(value, "delta")
    if kind in (None, "message-start"):
        response_id = name(get(value, "id"))
        draft.turn_to(response_id)
        draft.answer.response_id = response_id or draft.answer.response_id
    answer = draft.answer
    answer.provider = "cohere"
    content = get(delta, "message", "content")
    draft.say(joined(content) or text(get(content, "text")))
    calls = get(delta, "message", "tool_calls")
    for call in items(calls) or ([calls] if calls is not None else []):
        draft.call(name(get(call, "function", "name")), name(get(call, "id")))
    answer.finish_reason = name(get(delta, "finish_reason")) or answer.finish_reason
    _read_usage(draft, get(delta, "usage"))


def is_former(value: Any) -> bool:
    """Whether this is an answer of version 1, or an event of its stream."""
    if text(get(value, "event_type")) in _FORMER_EVENTS:
        return True
    return (
        text(get(value, "generation_id")) is not None
        and text(get(value, "text")) is not None
        and _counts(get(value, "meta")) is not None
    )


def read_former(draft: Draft, value: Any) -> None:
    """Takes an answer or an event; the last event holds the whole answer."""
    kind = text(get(value, "event_type"))
    if kind == "stream-end":
        value = get(value, "response")
    response_id = name(get(value, "generation_id"))
    draft.turn_to(response_id)
    answer = draft.answer
    answer.response_id = response_id or answer.response_id
    answer.provider = "cohere"
    if kind == "text-generation":
        draft.say(text(get(value, "text")))
        return
    draft.say_all(text(get(value, "text")))
    for call in items(get(value, "tool_calls")):
        draft.call(name(get(call, "name")), None)
    answer.finish_reason = name(get(value, "finish_reason")) or answer.finish_reason
    _read_usage(draft, get(value, "meta"))


def _read_usage(draft: Draft, usage: Any) -> None:
    counts = _counts(usage)
    if counts is not None:
        draft.answer.tokens.update(
            Tokens(
                input=count(get(counts, "input_tokens")),
                output=count(get(counts, "output_tokens")),
                cache_read=count(get(usage, "cached_tokens")),
            )
        )


def _counts(usage: Any) -> Any:
    """What was read and written, else what is charged for."""
    found = get(usage, "tokens")
    return get(usage, "billed_units") if found is None else found
