"""What was said: read out of what was stored, and kept from whoever may not read it."""

from __future__ import annotations

import json
from typing import Any, Final

from otel_chat import semconv
from otel_chat.server.access import CONVERSATIONS_READ, Scope

TECHNICAL: Final = frozenset(
    {
        semconv.OPERATION_NAME,
        semconv.AGENT_NAME,
        semconv.AGENT_ID,
        semconv.AGENT_VERSION,
        semconv.VARIANT,
        semconv.CONVERSATION_ID,
        semconv.REQUEST_MODEL,
        semconv.RESPONSE_MODEL,
        semconv.RESPONSE_ID,
        semconv.FINISH_REASONS,
        semconv.PROVIDER_NAME,
        semconv.USAGE_INPUT_TOKENS,
        semconv.USAGE_OUTPUT_TOKENS,
        semconv.USAGE_CACHE_READ_TOKENS,
        semconv.USAGE_REASONING_TOKENS,
        semconv.COST_AMOUNT,
        semconv.COST_SOURCE,
        semconv.MESSAGE_TYPE,
        semconv.CONTEXT_SIZE,
        semconv.CACHED,
        semconv.CHANNEL,
        semconv.PLATFORM,
        semconv.USER_TYPE,
        semconv.INTENT_NAME,
        semconv.CONFIDENCE,
        semconv.FALLBACK,
        semconv.SENTIMENT,
        semconv.HANDOFF_TRIGGERED,
        semconv.TIME_TO_FIRST_CHUNK,
        semconv.STATUS,
        semconv.ERROR_TYPE,
        semconv.HTTP_ROUTE,
        semconv.HTTP_STATUS_CODE,
        semconv.GEN_AI_INPUT_TOKENS,
        semconv.GEN_AI_OUTPUT_TOKENS,
        semconv.GEN_AI_CACHE_READ_TOKENS,
        semconv.GEN_AI_CACHE_WRITE_TOKENS,
        semconv.GEN_AI_REASONING_TOKENS,
        semconv.TOOL_NAME,
        semconv.TOOL_CALL_ID,
        semconv.TOOL_TYPE,
        semconv.PROMPT_NAME,
        semconv.PROMPT_VERSION,
        semconv.WORKFLOW_GEN_AI_NAME,
        semconv.DATA_SOURCE_ID,
        semconv.WORKFLOW_STEP,
        semconv.WORKFLOW_STATUS,
        semconv.API_NAME,
        semconv.API_DURATION,
        semconv.API_STATUS,
        semconv.CLOCK_ADJUSTED,
        "http.request.method",
        "server.address",
        "server.port",
        "gen_ai.request.temperature",
        "gen_ai.request.max_tokens",
        "gen_ai.request.stream",
        "gen_ai.output.type",
    }
)
"""Attributes that hold nothing anybody said; whatever else a library writes may."""


def readable(scope: Scope) -> bool:
    """Whether the scope may read what was said."""
    return scope.allows(CONVERSATIONS_READ)


def attributes(scope: Scope, stored: dict[str, str]) -> dict[str, str]:
    """The attributes that the scope may see: without the right to read text, the harmless."""
    allowed = (
        stored if readable(scope) else {key: stored[key] for key in stored if key in TECHNICAL}
    )
    return dict(sorted(allowed.items()))


def said(scope: Scope, text: str) -> str | None:
    """Text as it was stored, if there is any and the scope may read it."""
    return text if text and readable(scope) else None


def _text(message: Any) -> str:
    if not isinstance(message, dict):
        return ""
    parts = message.get("parts")
    if not isinstance(parts, list):
        content = message.get("content")
        return content if isinstance(content, str) else ""
    texts = [
        part["content"]
        for part in parts
        if isinstance(part, dict)
        and part.get("type", "text") == "text"
        and isinstance(part.get("content"), str)
    ]
    return "\n".join(texts)


def _messages(stored: str) -> list[Any]:
    try:
        messages = json.loads(stored)
    except (ValueError, RecursionError):  # whoever sent it chose how deep it is
        return []
    return messages if isinstance(messages, list) else []


def user_message(scope: Scope, stored: str) -> str | None:
    """The last user message of `gen_ai.input.messages`, which may hold the whole history.

    Example:
        >>> from otel_chat.server.access import OPEN
        >>> stored = '[{"role": "user", "parts": [{"type": "text", "content": "Hello"}]}]'
        >>> user_message(OPEN, stored)
        'Hello'
    """
    messages = _messages(stored)
    users = [m for m in messages if isinstance(m, dict) and m.get("role") == "user"]
    return said(scope, _text(users[-1]) if users else "")


def reply(scope: Scope, stored: str) -> str | None:
    """The text of `gen_ai.output.messages`."""
    return said(scope, "\n".join(filter(None, map(_text, _messages(stored)))))
