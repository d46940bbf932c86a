"""Anthropic: messages and the events of their stream."""

from __future__ import annotations

from typing import Any, Final

from otel_chat.extract._draft import Draft
from otel_chat.extract._reading import count, get, items, name, text, total

_PROVIDERS: Final = {"msg_bdrk_": "aws.bedrock", "msg_vrtx_": "gcp.vertex_ai"}


def is_message(value: Any) -> bool:
    """Whether this is a message from the assistant, or the event that begins one."""
    kind = text(get(value, "type"))
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
        _read_message(draft, get(value, "message"))
    elif kind == "content_block_start":
        _read_block(draft, get(value, "content_block"))
    elif kind == "content_block_delta":
        if text(get(value, "delta", "type")) == "text_delta":
            draft.say(text(get(value, "delta", "text")))
    elif kind == "message_delta":
        draft.finish_reason = name(get(value, "delta", "stop_reason")) or draft.finish_reason
        _read_usage(draft, get(value, "usage"))


def _read_message(draft: Draft, message: Any) -> None:
    draft.model = name(get(message, "model")) or draft.model
    draft.response_id = name(get(message, "id")) or draft.response_id
    draft.provider = _PROVIDERS.get((draft.response_id or "")[:9], "anthropic")
    draft.finish_reason = name(get(message, "stop_reason")) or draft.finish_reason
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
    """`input_tokens` leaves cached tokens out here: the three parts are summed."""
    tokens = draft.tokens
    read = count(get(usage, "cache_read_input_tokens"))
    written = count(get(usage, "cache_creation_input_tokens"))
    uncached = count(get(usage, "input_tokens"))
    output = count(get(usage, "output_tokens"))
    thinking = count(get(usage, "output_tokens_details", "thinking_tokens"))
    if uncached is None and tokens.input is not None:
        uncached = tokens.input - (tokens.cache_read or 0) - (tokens.cache_write or 0)
    tokens.cache_read = tokens.cache_read if read is None else read
    tokens.cache_write = tokens.cache_write if written is None else written
    if uncached is not None:
        tokens.input = total(uncached, tokens.cache_read, tokens.cache_write)
    tokens.output = tokens.output if output is None else output
    tokens.reasoning = tokens.reasoning if thinking is None else thinking
