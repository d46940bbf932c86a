"""OpenAI: chat completions (LiteLLM and compatible servers speak them too) and responses."""

from __future__ import annotations

import re
from typing import Any, Final

from otel_chat.extract._draft import Draft, Tokens
from otel_chat.extract._reading import count, first, get, items, joined, main, name, number, text

_OWN_MODELS: Final = re.compile(r"(?:ft:)?(?:gpt-|chatgpt-|o\d|codex-|davinci|babbage)")
_LITELLM_PROVIDERS: Final = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
_SAID: Final = re.compile(
    r"response\.(output_text|text|refusal|audio\.transcript|(output_)?audio_transcript)\.delta"
)
_FINAL_EVENTS: Final = frozenset(
    f"response.{end}" for end in ("completed", "incomplete", "failed", "done")
)
_PARTS: Final = {
    "output_text": "text",
    "refusal": "refusal",
    "audio": "transcript",
    "output_audio": "transcript",
}
"""The parts of a message that a user reads or hears, and where their text stands."""


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
            or count(get(value, "usage", "prompt_tokens")) is not None
        )
    if get(choice, "message") is not None or get(choice, "delta") is not None:
        return True
    return text(get(value, "object")) == "text_completion" and get(choice, "text") is not None


def read_chat(draft: Draft, value: Any) -> None:
    """Takes a completion or a chunk; the last chunk has the usage and no choices."""
    response_id = name(get(value, "id"))
    choice = main(get(value, "choices"))
    if response_id is not None:
        draft.turn_to(response_id)
    elif draft.answer.finish_reason and name(get(choice, "delta", "role")):
        draft.begin()  # a server without ids, and its next answer
    draft.answer.model = name(get(value, "model")) or draft.answer.model
    draft.answer.response_id = response_id or draft.answer.response_id
    for usage in (get(value, "x_groq", "usage"), get(value, "usage")):
        if usage is not None:
            _read_chat_usage(draft, usage)
    if choice is not None:
        message = get(choice, "message") or get(choice, "delta")
        draft.say(
            joined(get(message, "content"))
            or text(get(message, "refusal"))
            or text(get(message, "audio", "transcript"))
            or text(get(choice, "text"))
        )
        draft.answer.finish_reason = (
            name(get(choice, "finish_reason")) or draft.answer.finish_reason
        )
        draft.call(name(get(message, "function_call", "name")), None)  # before there were tools
        for call in items(get(message, "tool_calls")):
            kind = "custom" if get(call, "function") is None else "function"
            draft.call(name(get(call, kind, "name")), name(get(call, "id")))
        for token in items(get(choice, "logprobs", "content")):
            draft.logprob(number(get(token, "logprob")))
    draft.answer.provider = _chat_provider(value, choice, draft)
    cost = number(get(value, "_hidden_params", "response_cost"))
    draft.answer.cost = draft.answer.cost if cost is None else cost


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
    if (draft.answer.response_id or "").startswith("gen-") and text(get(value, "provider")):
        return "openrouter"
    if (
        draft.answer.provider is None
        and draft.answer.model
        and _OWN_MODELS.match(draft.answer.model)
    ):
        return "openai"
    return draft.answer.provider


def _read_chat_usage(draft: Draft, usage: Any) -> None:
    prompt, completion = (
        get(usage, "prompt_tokens_details"),
        get(usage, "completion_tokens_details"),
    )
    found = Tokens(
        input=count(get(usage, "prompt_tokens")),
        output=count(get(usage, "completion_tokens")),
        cache_read=_first_count(
            (prompt, "cached_tokens"),
            (usage, "prompt_cache_hit_tokens"),  # DeepSeek
            (usage, "cache_read_input_tokens"),  # LiteLLM
            (usage, "cached_tokens"),  # Moonshot
            (usage, "num_cached_tokens"),  # Mistral
        ),
        cache_write=_first_count(
            (prompt, "cache_write_tokens"), (usage, "cache_creation_input_tokens")
        ),
        reasoning=count(get(completion, "reasoning_tokens")),
    ).balance(count(get(usage, "total_tokens")))
    beside = count(get(usage, "reasoning_tokens"))
    if beside and not found.reasoning:  # Perplexity, which counts it nowhere else
        found.reasoning = beside
        found.output = (found.output or 0) + beside
    draft.answer.tokens.update(found)
    cost = number(get(usage, "cost"))  # OpenRouter
    if cost is None:  # Perplexity
        cost = number(get(usage, "cost", "total_cost"))
    draft.answer.cost = draft.answer.cost if cost is None else cost


def _first_count(*places: tuple[Any, str]) -> int | None:
    """The first count that is not 0, else 0 where one of them is."""
    found = None
    for place, key in places:
        there = count(get(place, key))
        if there:
            return there
        found = there if found is None else found
    return found


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
    elif _SAID.fullmatch(kind):
        draft.say(text(get(value, "delta")))
        for token in items(get(value, "logprobs")):
            draft.logprob(number(get(token, "logprob")))
    elif kind == "response.output_item.done":
        _read_call(draft, get(value, "item"))
    elif kind in _FINAL_EVENTS or kind == "response.created":
        _read_whole_response(draft, get(value, "response"))


def _read_whole_response(draft: Draft, response: Any) -> None:
    draft.turn_to(name(get(response, "id")))
    draft.answer.model = name(get(response, "model")) or draft.answer.model
    draft.answer.response_id = name(get(response, "id")) or draft.answer.response_id
    draft.answer.provider = draft.answer.provider or "openai"
    draft.answer.finish_reason = name(get(response, "incomplete_details", "reason")) or name(
        get(response, "status")
    )
    usage = get(response, "usage")
    if usage is not None:
        details = get(usage, "input_tokens_details") or get(usage, "input_token_details")
        found = Tokens(
            input=count(get(usage, "input_tokens")),
            output=count(get(usage, "output_tokens")),
            cache_read=count(get(details, "cached_tokens")),
            cache_write=count(get(details, "cache_write_tokens")),
            reasoning=count(get(usage, "output_tokens_details", "reasoning_tokens")),
        )
        draft.answer.tokens.update(found.balance(count(get(usage, "total_tokens"))))
    pieces: list[str] = []
    tokens: list[Any] = []
    for item in items(get(response, "output")):
        _read_call(draft, item)
        for part in items(get(item, "content")):
            place = _PARTS.get(text(get(part, "type")) or "")
            pieces.append((text(get(part, place)) if place else None) or "")
            tokens += items(get(part, "logprobs"))
    draft.say_all("".join(pieces))
    if tokens:
        draft.forget_logprobs()
    for token in tokens:
        draft.logprob(number(get(token, "logprob")))


def _read_call(draft: Draft, item: Any) -> None:
    """Takes a call of a tool: those of the provider's own are named by their kind."""
    kind = name(get(item, "type")) or ""
    if kind.endswith("_call"):
        call_id = name(get(item, "call_id")) or name(get(item, "id"))
        draft.call(name(get(item, "name")) or kind.removesuffix("_call"), call_id)


def is_run(value: Any) -> bool:
    """Whether this is the result of a run of OpenAI's Agents SDK."""
    answers = get(value, "raw_responses")
    return isinstance(answers, list) and get(first(answers), "output") is not None


def read_run(draft: Draft, run: Any) -> None:
    """Takes the run's answers; the user reads what the run ends with."""
    for answer in items(get(run, "raw_responses")):
        draft.begin()
        draft.turn_to(name(get(answer, "response_id")))
        _read_whole_response(draft, answer)
        draft.answer.response_id = name(get(answer, "response_id"))
        spoken = draft.answer.text
        draft.answer.pieces.clear()
    model = get(run, "last_agent", "model")
    draft.answer.model = name(model) or name(get(model, "model"))
    draft.say_all(text(get(run, "final_output")) or spoken)
