"""Mistral: answers of its conversations and agents; its chat speaks OpenAI's format."""

from __future__ import annotations

from typing import Any, Final

from otel_chat.extract._draft import Draft, Tokens
from otel_chat.extract._reading import count, get, items, joined, name, text

_STARTED: Final = "conversation.response.started"
_DONE: Final = "conversation.response.done"
_DELTA: Final = "message.output.delta"
_CALL: Final = "function.call.delta"
_TOOL: Final = "tool.execution.started"
_EVENTS: Final = frozenset({_STARTED, _DONE, _DELTA, _CALL, _TOOL})


def is_answer(value: Any) -> bool:
    """Whether this is an answer of a conversation, or an event of its stream."""
    return (
        text(get(value, "object")) == "conversation.response"
        or text(get(value, "type")) in _EVENTS
    )  # fmt: skip


def read(draft: Draft, value: Any) -> None:
    """Takes an answer or an event. A conversation's id is none of an answer's."""
    kind = text(get(value, "type"))
    if kind == _STARTED:
        draft.begin()
    answer = draft.answer
    answer.provider = "mistral_ai"
    entries = [value] if kind in _EVENTS else items(get(value, "outputs"))
    for entry in entries:
        answer.model = name(get(entry, "model")) or answer.model
        what = text(get(entry, "type"))
        if what in (_DELTA, "message.output"):
            content = get(entry, "content")
            draft.say(joined(content) or joined([content]))
        elif what in (_CALL, "function.call"):
            draft.call(name(get(entry, "name")), name(get(entry, "tool_call_id")))
        elif what in (_TOOL, "tool.execution"):
            draft.call(name(get(entry, "name")), name(get(entry, "id")))
    usage = get(value, "usage")
    if usage is None:
        return
    answer.finish_reason = "stop"
    tokens = Tokens(
        input=count(get(usage, "prompt_tokens")),
        output=count(get(usage, "completion_tokens")),
    )
    answer.tokens.update(tokens)
