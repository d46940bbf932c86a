"""Vercel's AI SDK: the last part of its data stream, which has the usage of all steps."""

from __future__ import annotations

from typing import Any

from otel_chat.extract._draft import Draft, Tokens
from otel_chat.extract._reading import count, get, name


def is_finish(value: Any) -> bool:
    """Whether this is the part that ends a step or the message."""
    return isinstance(value, dict) and any(
        count(get(value, "usage", key)) is not None for key in ("promptTokens", "inputTokens")
    )


def read(draft: Draft, value: Any) -> None:
    """Takes reason and usage; a step's come before those of the whole, which are their sum."""
    draft.answer.finish_reason = name(get(value, "finishReason")) or draft.answer.finish_reason
    usage = get(value, "usage")

    def either(old: str, new: str) -> int | None:
        found = count(get(usage, old))
        return count(get(usage, new)) if found is None else found

    found = Tokens(
        input=either("promptTokens", "inputTokens"),
        output=either("completionTokens", "outputTokens"),
        cache_read=count(get(usage, "cachedInputTokens")),
        reasoning=count(get(usage, "reasoningTokens")),
    )
    draft.answer.tokens.update(found.balance(count(get(usage, "totalTokens"))))
