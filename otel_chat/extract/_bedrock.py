"""Amazon Bedrock: answers of `converse` and events of `converse_stream`."""

from __future__ import annotations

from typing import Any

from otel_chat.extract._draft import Draft, Tokens
from otel_chat.extract._reading import count, get, items, name, text, total


def is_answer(value: Any) -> bool:
    """Whether this is an answer, or the event that begins a stream."""
    if not isinstance(value, dict):
        return False
    if text(get(value, "messageStart", "role")) == "assistant":
        return True
    return isinstance(get(value, "output", "message", "content"), list) and "usage" in value


def read(draft: Draft, value: Any) -> None:
    """Takes an answer or an event. The answer does not name its model."""
    draft.provider = "aws.bedrock"
    draft.response_id = name(get(value, "ResponseMetadata", "RequestId")) or draft.response_id
    for block in items(get(value, "output", "message", "content")):
        draft.say(text(get(block, "text")))
        _read_call(draft, get(block, "toolUse"))
    _read_call(draft, get(value, "contentBlockStart", "start", "toolUse"))
    draft.say(text(get(value, "contentBlockDelta", "delta", "text")))
    reason = name(get(value, "stopReason")) or name(get(value, "messageStop", "stopReason"))
    draft.finish_reason = reason or draft.finish_reason
    usage = get(value, "usage") or get(value, "metadata", "usage")
    if usage is not None:
        _read_usage(draft, usage)


def _read_call(draft: Draft, call: Any) -> None:
    if call is not None:
        draft.call(name(get(call, "name")), name(get(call, "toolUseId")))


def _read_usage(draft: Draft, usage: Any) -> None:
    """`inputTokens` leaves cached tokens out here: the three parts are summed."""
    read = count(get(usage, "cacheReadInputTokens"))
    written = count(get(usage, "cacheWriteInputTokens"))
    draft.tokens = Tokens(
        input=total(count(get(usage, "inputTokens")), read, written),
        output=count(get(usage, "outputTokens")),
        cache_read=read,
        cache_write=written,
    )
