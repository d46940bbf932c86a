"""LangChain: messages of the assistant, their chunks, and the state of a LangGraph agent."""

from __future__ import annotations

from typing import Any, Final

from otel_chat.extract._draft import Draft, Tokens
from otel_chat.extract._reading import count, get, items, joined, name, number, text

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


def is_answer(value: Any) -> bool:
    """Whether this is a message of the assistant, or a chunk of one."""
    return text(get(value, "type")) in _AI and isinstance(get(value, "response_metadata"), dict)


def is_from_user(value: Any) -> bool:
    """Whether this is a message of the user."""
    return text(get(value, "type")) == "human" and get(value, "content") is not None


def _answers(state: Any) -> list[Any]:
    """The assistant's messages since the last one of the user: earlier ones are earlier turns."""
    found: list[Any] = []
    for message in reversed(items(get(state, "messages"))):
        if text(get(message, "type")) == "human":
            break
        if is_answer(message):
            found.append(message)
    return found[::-1]


def is_message(value: Any) -> bool:
    """Whether this is a message of the assistant, or a state that ends with one."""
    return is_answer(value) or (isinstance(value, dict) and bool(_answers(value)))


def read(draft: Draft, value: Any) -> None:
    """Takes a message, a chunk (their usage adds up, as LangChain itself adds it) or a state."""
    if not is_answer(value):
        _read_state(draft, value)
        return
    message_id = name(get(value, "id"))
    draft.turn_to(message_id)
    if text(get(value, "type")) == "ai":  # whole; the same one again says the same
        if message_id is None:
            draft.begin()
        _read_message(draft, value)
        draft.say_all(joined(get(value, "content")))
        draft.answer.tokens.update(_usage(value))
    else:
        _read_message(draft, value)
        draft.say(joined(get(value, "content")))
        draft.answer.tokens.add(_usage(value))


def _read_state(draft: Draft, state: Any) -> None:
    """A state repeats what an earlier one had said, and the user reads its last message."""
    tokens: dict[str, Tokens] = {}
    spoken = None
    for place, message in enumerate(_answers(state)):
        key = name(get(message, "id")) or f"message {place}"
        draft.turn_to(key)
        draft.answer.pieces.clear()
        _read_message(draft, message)
        tokens.setdefault(key, Tokens()).add(_usage(message))
        draft.answer.tokens.update(tokens[key])
        spoken = joined(get(message, "content")) or spoken
    draft.say_all(spoken)


def _read_message(draft: Draft, message: Any) -> None:
    answer = draft.answer
    metadata = get(message, "response_metadata")
    model = name(get(metadata, "model_name")) or name(get(metadata, "model"))
    answer.model = model or answer.model
    provider = name(get(metadata, "model_provider"))
    answer.provider = _PROVIDERS.get(provider, provider) if provider else answer.provider
    response_id = name(get(metadata, "id")) or name(get(message, "id"))
    answer.response_id = response_id or answer.response_id
    reason = name(get(metadata, "finish_reason")) or name(get(metadata, "stop_reason"))
    answer.finish_reason = reason or answer.finish_reason
    for call in items(get(message, "tool_calls")):
        draft.call(name(get(call, "name")), name(get(call, "id")))
    for token in items(get(metadata, "logprobs", "content")):
        draft.logprob(number(get(token, "logprob")))


def _usage(message: Any) -> Tokens:
    usage = get(message, "usage_metadata")
    if usage is None:  # as the provider told it
        told = get(message, "response_metadata", "token_usage")
        found = Tokens(
            input=count(get(told, "prompt_tokens")), output=count(get(told, "completion_tokens"))
        )
        return found.balance(count(get(told, "total_tokens")))
    details = get(usage, "input_token_details")
    return Tokens(
        input=count(get(usage, "input_tokens")),
        output=count(get(usage, "output_tokens")),
        cache_read=count(get(details, "cache_read")),
        cache_write=count(get(details, "cache_creation")),
        reasoning=count(get(usage, "output_token_details", "reasoning")),
    ).balance(count(get(usage, "total_tokens")))
