"""Anthropic: messages and the events of their stream."""

from __future__ import annotations

from typing import Any, Final

from otel_chat.extract._draft import Draft, Tokens
from otel_chat.extract._reading import count, get, items, name, text, total

_EVENTS: Final = {
    "content_block_start": "content_block",
    "content_block_delta": "delta",
    "message_delta": "delta",
}
"""The events of a message that has begun, and what each of them holds."""
_PROVIDERS: Final = {"msg_bdrk_": "aws.bedrock", "msg_vrtx_": "gcp.vertex_ai"}


def is_message(value: Any) -> bool:
    """Whether this is a message from the assistant, or an event of a stream of one."""
    kind = text(get(value, "type"))
    if kind in _EVENTS:
        return get(value, _EVENTS[kind]) is not None
    if kind == "message_start":
        value, kind = get(value, "message"), text(get(value, "message", "type"))
    return (
        kind == "message"
        and text(get(value, "role")) == "assistant"
        and isinstance(get(value, "content"), list | tuple)
    )


def read(draft: Draft, value: Any) -> None:
    """Takes a message or an event; usage is cumulative, its last parts are in `message_delta`."""
    kind = text(get(value, "type"))
    if kind == "message":
        _read_message(draft, value)
    elif kind == "message_start":
        if name(get(value, "message", "id")) is None:
            draft.begin()
        _read_message(draft, get(value, "message"))
    elif kind == "content_block_start":
        _read_block(draft, get(value, "content_block"))
    elif kind == "content_block_delta":
        if text(get(value, "delta", "type")) == "text_delta":
            draft.say(text(get(value, "delta", "text")))
    elif kind == "message_delta":
        draft.answer.finish_reason = (
            name(get(value, "delta", "stop_reason")) or draft.answer.finish_reason
        )
        _read_usage(draft, get(value, "usage"))


def _read_message(draft: Draft, message: Any) -> None:
    draft.turn_to(name(get(message, "id")))
    draft.answer.model = name(get(message, "model")) or draft.answer.model
    draft.answer.response_id = name(get(message, "id")) or draft.answer.response_id
    draft.answer.provider = _PROVIDERS.get((draft.answer.response_id or "")[:9], "anthropic")
    draft.answer.finish_reason = name(get(message, "stop_reason")) or draft.answer.finish_reason
    for block in items(get(message, "content")):
        _read_block(draft, block)
    _read_usage(draft, get(message, "usage"))


def _read_block(draft: Draft, block: Any) -> None:
    kind = text(get(block, "type"))
    if kind == "text":
        draft.say(text(get(block, "text")))
    elif kind in ("tool_use", "server_tool_use", "mcp_tool_use"):
        draft.call(name(get(block, "name")), name(get(block, "id")))


def _read_usage(draft: Draft, usage: Any) -> None:
    """`input_tokens` leaves cached tokens out here: the three parts are summed.

    Of a later event's parts those that it leaves out are as they were.
    """
    tokens = draft.answer.tokens
    read = count(get(usage, "cache_read_input_tokens"))
    written = count(get(usage, "cache_creation_input_tokens"))
    if written is None:
        written = total(
            count(get(usage, "cache_creation", "ephemeral_5m_input_tokens")),
            count(get(usage, "cache_creation", "ephemeral_1h_input_tokens")),
        )
    uncached = count(get(usage, "input_tokens"))
    taken = total(uncached, read, written)
    if taken and tokens.input:
        known = tokens.input - (tokens.cache_read or 0) - (tokens.cache_write or 0)
        read, written = read or tokens.cache_read, written or tokens.cache_write
        taken = total(known if uncached is None else uncached, read, written)
    tokens.update(
        Tokens(
            input=taken,
            output=count(get(usage, "output_tokens")),
            cache_read=read,
            cache_write=written,
            reasoning=count(get(usage, "output_tokens_details", "thinking_tokens")),
        )
    )
