"""Ollama: answers of its own interface, whole and streamed."""

from __future__ import annotations

from typing import Any

from otel_chat.extract._draft import Draft, Tokens
from otel_chat.extract._reading import count, get, items, name, text


def is_answer(value: Any) -> bool:
    """Whether this is an answer of `chat` or `generate`, or a chunk of one."""
    if type(get(value, "done")) is not bool or text(get(value, "model")) is None:
        return False
    return get(value, "message") is not None or text(get(value, "response")) is not None


def read(draft: Draft, value: Any) -> None:
    """Takes an answer or a chunk. There are no ids: what follows the last chunk is the next.

    A prompt that the server still holds is not counted again, so its count may be absent.
    """
    if draft.answer.finish_reason:
        draft.begin()
    answer = draft.answer
    answer.model = name(get(value, "model")) or answer.model
    answer.provider = "ollama"
    draft.say(text(get(value, "message", "content")) or text(get(value, "response")))
    for call in items(get(value, "message", "tool_calls")):
        draft.call(name(get(call, "function", "name")), None)
    if get(value, "done") is True:
        answer.finish_reason = name(get(value, "done_reason")) or "stop"
        answer.tokens.update(
            Tokens(
                input=count(get(value, "prompt_eval_count")),
                output=count(get(value, "eval_count")),
            )
        )
