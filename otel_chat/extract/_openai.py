"""OpenAI: chat completions (LiteLLM and compatible servers speak them too) and responses."""

from __future__ import annotations

import re
from typing import Any, Final

from otel_chat.extract._draft import Draft, Tokens
from otel_chat.extract._reading import count, first, get, items, joined, name, number, text, total

_OWN_MODELS: Final = re.compile(r"(?:ft:)?(?:gpt-|chatgpt-|o\d|codex-|davinci|babbage)")
_LITELLM_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
_FINAL_EVENTS: Final = ("response.completed", "response.incomplete", "response.failed")


def is_chat(value: Any) -> bool:
    """Whether this is a chat completion or a chunk of one."""
    choices = get(value, "choices")
    if not isinstance(choices, list | tuple):
        return False
    choice = first(choices)
    if choice is None:
        return (
            text(get(value, "object")) in ("chat.completion", "chat.completion.chunk")
            or get(value, "prompt_filter_results") is not None
        )
    return get(choice, "message") is not None or get(choice, "delta") is not None


def read_chat(draft: Draft, value: Any) -> None:
    """Takes a completion or a chunk; the last chunk has the usage and no choices."""
    draft.model = name(get(value, "model")) or draft.model
    draft.response_id = name(get(value, "id")) or draft.response_id
    usage = get(value, "usage") or get(value, "x_groq", "usage")
    if usage is not None:
        _read_chat_usage(draft, usage)
    choice = first(get(value, "choices"))
    if choice is not None:
        message = get(choice, "message") or get(choice, "delta")
        draft.say(joined(get(message, "content")) or text(get(message, "refusal")))
        draft.finish_reason = name(get(choice, "finish_reason")) or draft.finish_reason
        for call in items(get(message, "tool_calls")):
            draft.call(name(get(call, "function", "name")), name(get(call, "id")))
        for token in items(get(choice, "logprobs", "content")):
            draft.logprob(number(get(token, "logprob")))
    draft.provider = _chat_provider(value, choice, draft)
    cost = number(get(value, "_hidden_params", "response_cost"))
    draft.cost = draft.cost if cost is None else cost


def _chat_provider(value: Any, choice: Any, draft: Draft) -> str | None:
    """Who answered: many servers speak this format, so only what they add to it tells."""
    routed = name(get(value, "_hidden_params", "custom_llm_provider"))
    if routed:
        return _LITELLM_PROVIDERS.get(routed, routed)
    if (
        get(value, "prompt_filter_results") is not None
        or get(choice, "content_filter_results") is not None
    ):
        return "azure.ai.openai"
    if get(value, "x_groq") is not None:
        return "groq"
    if (draft.response_id or "").startswith("gen-") and text(get(value, "provider")):
        return "openrouter"
    if draft.provider is None and draft.model and _OWN_MODELS.match(draft.model):
        return "openai"
    return draft.provider


def _read_chat_usage(draft: Draft, usage: Any) -> None:
    prompt, completion = (
        get(usage, "prompt_tokens_details"),
        get(usage, "completion_tokens_details"),
    )
    read = count(get(prompt, "cached_tokens"))
    if read is None:  # DeepSeek
        read = count(get(usage, "prompt_cache_hit_tokens"))
    written = count(get(prompt, "cache_write_tokens"))
    if written is None:  # LiteLLM
        written = count(get(usage, "cache_creation_input_tokens"))
    found = Tokens(
        input=count(get(usage, "prompt_tokens")),
        output=count(get(usage, "completion_tokens")),
        cache_read=read,
        cache_write=written,
        reasoning=count(get(completion, "reasoning_tokens")),
    )
    if total(found.input, found.output) is not None:
        draft.tokens = found
    cost = number(get(usage, "cost"))  # OpenRouter
    draft.cost = draft.cost if cost is None else cost


def is_response(value: Any) -> bool:
    """Whether this is an answer of the responses API or an event of its stream."""
    if text(get(value, "object")) == "response" and isinstance(get(value, "output"), list | tuple):
        return True
    kind = text(get(value, "type"))
    return kind is not None and kind.startswith("response.")


def read_response(draft: Draft, value: Any) -> None:
    """Takes a response, or an event: text from deltas, all else from the last one's response."""
    kind = text(get(value, "type")) or ""
    if not kind.startswith("response."):
        _read_whole_response(draft, value)
    elif kind == "response.output_text.delta":
        draft.say(text(get(value, "delta")))
        for token in items(get(value, "logprobs")):
            draft.logprob(number(get(token, "logprob")))
    elif kind in _FINAL_EVENTS or kind == "response.created":
        _read_whole_response(draft, get(value, "response"))


def _read_whole_response(draft: Draft, response: Any) -> None:
    draft.model = name(get(response, "model")) or draft.model
    draft.response_id = name(get(response, "id")) or draft.response_id
    draft.provider = draft.provider or "openai"
    draft.finish_reason = name(get(response, "incomplete_details", "reason")) or name(
        get(response, "status")
    )
    usage = get(response, "usage")
    if usage is not None:
        details = get(usage, "input_tokens_details")
        draft.tokens = Tokens(
            input=count(get(usage, "input_tokens")),
            output=count(get(usage, "output_tokens")),
            cache_read=count(get(details, "cached_tokens")),
            cache_write=count(get(details, "cache_write_tokens")),
            reasoning=count(get(usage, "output_tokens_details", "reasoning_tokens")),
        )
    pieces: list[str] = []
    tokens: list[Any] = []
    for item in items(get(response, "output")):
        if text(get(item, "type")) == "function_call":
            draft.call(name(get(item, "name")), name(get(item, "call_id")))
        for part in items(get(item, "content")):
            if text(get(part, "type")) == "output_text":
                pieces.append(text(get(part, "text")) or "")
                tokens += items(get(part, "logprobs"))
    draft.say_all("".join(pieces))
    if tokens:
        draft.forget_logprobs()
    for token in tokens:
        draft.logprob(number(get(token, "logprob")))
