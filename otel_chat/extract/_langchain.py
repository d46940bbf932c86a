"""LangChain: messages of the assistant, their chunks, and the state of a LangGraph agent."""

from __future__ import annotations

from typing import Any, Final

from otel_chat.extract._draft import Draft, Tokens
from otel_chat.extract._reading import count, get, items, joined, name, number, text, total

_AI: Final = ("ai", "AIMessageChunk")
_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
}


def _is_ai(value: Any) -> bool:
    return text(get(value, "type")) in _AI and isinstance(get(value, "response_metadata"), dict)


def _answers(state: Any) -> list[Any]:
    """The assistant's messages since the last one of the user: earlier ones are earlier turns."""
    found: list[Any] = []
    for message in reversed(items(get(state, "messages"))):
        if text(get(message, "type")) == "human":
            break
        if _is_ai(message):
            found.append(message)
    return found[::-1]


def is_message(value: Any) -> bool:
    """Whether this is a message of the assistant, or a state that ends with one."""
    return _is_ai(value) or (isinstance(value, dict) and bool(_answers(value)))


def read(draft: Draft, value: Any) -> None:
    """Takes a message, a chunk (their usage adds up, as LangChain itself adds it) or a state."""
    if _is_ai(value):
        draft.say(joined(get(value, "content")))
        _read_message(draft, value)
        return
    for message in _answers(value):
        _read_message(draft, message)
        draft.say_all(joined(get(message, "content")))


def _read_message(draft: Draft, message: Any) -> None:
    metadata = get(message, "response_metadata")
    model = name(get(metadata, "model_name")) or name(get(metadata, "model"))
    draft.model = model or draft.model
    provider = name(get(metadata, "model_provider"))
    draft.provider = _PROVIDERS.get(provider, provider) if provider else draft.provider
    draft.response_id = name(get(metadata, "id")) or name(get(message, "id")) or draft.response_id
    reason = name(get(metadata, "finish_reason")) or name(get(metadata, "stop_reason"))
    draft.finish_reason = reason or draft.finish_reason
    for call in items(get(message, "tool_calls")):
        draft.call(name(get(call, "name")), name(get(call, "id")))
    for token in items(get(metadata, "logprobs", "content")):
        draft.logprob(number(get(token, "logprob")))
    usage = get(message, "usage_metadata")
    if usage is not None:
        known = draft.tokens
        details = get(usage, "input_token_details")
        reasoning = count(get(usage, "output_token_details", "reasoning"))
        draft.tokens = Tokens(
            input=total(known.input, count(get(usage, "input_tokens"))),
            output=total(known.output, count(get(usage, "output_tokens"))),
            cache_read=total(known.cache_read, count(get(details, "cache_read"))),
            cache_write=total(known.cache_write, count(get(details, "cache_creation"))),
            reasoning=total(known.reasoning, reasoning),
        )
