"""Amazon Bedrock: answers of `converse` and events of `converse_stream`."""

from __future__ import annotations

from typing import Any, Final

from otel_chat.extract._draft import Draft, Tokens
from otel_chat.extract._reading import count, get, items, name, text, total

_EVENTS: Final = (
    ("contentBlockStart", "start"),
    ("contentBlockDelta", "delta"),
    ("messageStop", "stopReason"),
    ("metadata", "usage", "inputTokens"),
)
"""The events after the one that begins a stream."""


def is_answer(value: Any) -> bool:
    """Whether this is an answer, or an event of a stream."""
    if not isinstance(value, dict):
        return False
    if text(get(value, "messageStart", "role")) == "assistant":
        return True
    if len(value) == 1 and any(get(value, *path) is not None for path in _EVENTS):
        return True
    return isinstance(get(value, "output", "message", "content"), list) and "usage" in value


def read(draft: Draft, value: Any) -> None:
    """Takes an answer or an event. The answer does not name its model."""
    response_id = name(get(value, "ResponseMetadata", "RequestId"))
    draft.turn_to(response_id)
    if get(value, "messageStart") is not None:
        draft.begin()  # its streams have no ids
    draft.answer.provider = "aws.bedrock"
    draft.answer.response_id = response_id or draft.answer.response_id
    for block in items(get(value, "output", "message", "content")):
        draft.say(text(get(block, "text")))
        _read_call(draft, get(block, "toolUse"))
    _read_call(draft, get(value, "contentBlockStart", "start", "toolUse"))
    draft.say(text(get(value, "contentBlockDelta", "delta", "text")))
    reason = name(get(value, "stopReason")) or name(get(value, "messageStop", "stopReason"))
    draft.answer.finish_reason = reason or draft.answer.finish_reason
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
    taken, made = count(get(usage, "inputTokens")), count(get(usage, "outputTokens"))
    within = total(taken, made) == count(get(usage, "totalTokens"))  # not every model's do
    draft.answer.tokens.update(
        Tokens(
            input=taken if within else total(taken, read, written),
            output=made,
            cache_read=read,
            cache_write=written,
        )
    )
