"""Hugging Face: text generation, whole and streamed; its chat speaks OpenAI's format."""

from __future__ import annotations

from typing import Any

from otel_chat.extract._draft import Draft, Tokens
from otel_chat.extract._reading import count, first, get, items, name, number, text


def is_answer(value: Any) -> bool:
    """Whether this is generated text with details, or a token of a stream."""
    token = get(value, "token")
    if token is not None:
        return number(get(token, "logprob")) is not None and text(get(token, "text")) is not None
    value = value if get(value, "details") is not None else first(value)
    return (
        text(get(value, "generated_text")) is not None
        and count(get(value, "details", "generated_tokens")) is not None
    )


def read(draft: Draft, value: Any) -> None:
    """Takes an answer or a token; the last one has the details. Nothing names the model."""
    token = get(value, "token")
    value = value if token is not None or get(value, "details") is not None else first(value)
    if draft.answer.finish_reason:
        draft.begin()
    if token is None:
        draft.say(text(get(value, "generated_text")))
    elif get(token, "special") is not True:
        draft.say(text(get(token, "text")))
        draft.logprob(number(get(token, "logprob")))
    details = get(value, "details")
    if details is None:
        return
    answer = draft.answer
    prompt = items(get(details, "prefill"))
    answer.tokens.update(
        Tokens(
            input=count(get(details, "input_length")) or len(prompt) or None,
            output=count(get(details, "generated_tokens")),
        )
    )
    for one in items(get(details, "tokens")):
        draft.logprob(number(get(one, "logprob")))
    answer.finish_reason = name(get(details, "finish_reason")) or "stop"
