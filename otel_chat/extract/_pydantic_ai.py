"""Pydantic AI: results of a run, responses of a model, and the events of a streamed run."""

from __future__ import annotations

import inspect
from typing import Any, Final

from otel_chat.extract._draft import Draft, Tokens
from otel_chat.extract._reading import count, get, items, name, number, text

_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "google-gla": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "grok": "x_ai",
    "mistral": "mistral_ai",
    "moonshotai": "moonshot_ai",
    "xai": "x_ai",
}
_EVENTS: Final = frozenset(
    {"part_start", "part_delta", "part_end", "final_result", "agent_run_result"}
)


def _is_response(value: Any) -> bool:
    return text(get(value, "kind")) == "response" and isinstance(get(value, "parts"), list | tuple)


def is_result(value: Any) -> bool:
    """Whether this is the result of a run, a model's response or an event of a streamed run."""
    if isinstance(value, dict):
        return False
    if _is_response(value) or text(get(value, "event_kind")) in _EVENTS:
        return True
    return text(get(value, "run_id")) is not None and _is_response(get(value, "response"))


def read(draft: Draft, value: Any) -> None:
    """Takes a result, a response or an event; the last event holds the result."""
    kind = text(get(value, "event_kind"))
    if kind is not None:
        _read_event(draft, kind, value)
    elif _is_response(value):
        draft.turn_to(name(get(value, "provider_response_id")))
        _read_response(draft, value)
        _read_usage(draft, get(value, "usage"))
    else:
        draft.turn_to(name(get(value, "run_id")))
        _read_response(draft, get(value, "response"))
        draft.say_all(text(get(value, "output")))
        usage = get(value, "usage")
        if inspect.ismethod(usage):  # a method in version 1
            usage = usage()
        _read_usage(draft, usage)


def _read_event(draft: Draft, kind: str, event: Any) -> None:
    if kind == "agent_run_result":
        read(draft, get(event, "result"))
    elif kind == "part_start" and text(get(event, "part", "part_kind")) == "text":
        draft.say(text(get(event, "part", "content")))
    elif kind == "part_delta" and text(get(event, "delta", "part_delta_kind")) == "text":
        draft.say(text(get(event, "delta", "content_delta")))


def _read_response(draft: Draft, response: Any) -> None:
    answer = draft.answer
    answer.model = name(get(response, "model_name")) or answer.model
    provider = name(get(response, "provider_name"))
    answer.provider = _PROVIDERS.get(provider, provider) if provider else answer.provider
    answer.response_id = name(get(response, "provider_response_id")) or answer.response_id
    answer.finish_reason = name(get(response, "finish_reason")) or answer.finish_reason
    pieces: list[str] = []
    for part in items(get(response, "parts")):
        kind = text(get(part, "part_kind"))
        if kind == "text":
            pieces.append(text(get(part, "content")) or "")
        elif kind == "tool-call":
            draft.call(name(get(part, "tool_name")), name(get(part, "tool_call_id")))
    draft.say_all("".join(pieces))


def _read_usage(draft: Draft, usage: Any) -> None:
    details = get(usage, "details")
    reasoning = count(get(usage, "output_reasoning_tokens"))
    found = Tokens(
        input=count(get(usage, "input_tokens")),
        output=count(get(usage, "output_tokens")),
        cache_read=count(get(usage, "cache_read_tokens")),
        cache_write=count(get(usage, "cache_write_tokens")),
        reasoning=reasoning or count(get(details, "reasoning_tokens")),
    )
    draft.answer.tokens.update(found.balance(None))
    cost = number(get(usage, "cost"))
    draft.answer.cost = draft.answer.cost if cost is None else cost
