"""Google: `generate_content` answers of Gemini and Vertex AI, whole and streamed."""

from __future__ import annotations

import math
from typing import Any

from otel_chat.extract._draft import Draft, Tokens
from otel_chat.extract._reading import count, first, get, items, name, number, text, total


def _either(value: Any, snake: str, camel: str) -> Any:
    """The client's attribute, or the REST answer's key."""
    found = get(value, snake)
    return get(value, camel) if found is None else found


def is_answer(value: Any) -> bool:
    """Whether this is an answer with candidates, or a chunk of one."""
    if isinstance(_either(value, "candidates", "candidates"), list | tuple):
        return True
    usage = _either(value, "usage_metadata", "usageMetadata")
    return count(_either(usage, "prompt_token_count", "promptTokenCount")) is not None


def read(draft: Draft, value: Any) -> None:
    """Takes an answer or a chunk; each chunk's usage is that of the answer so far."""
    draft.model = name(_either(value, "model_version", "modelVersion")) or draft.model
    draft.response_id = name(_either(value, "response_id", "responseId")) or draft.response_id
    usage = _either(value, "usage_metadata", "usageMetadata")
    draft.provider = draft.provider or "gcp.gemini"
    if usage is not None:
        _read_usage(draft, usage)
    candidate = first(get(value, "candidates"))
    if candidate is None:
        return
    reason = name(_either(candidate, "finish_reason", "finishReason"))
    draft.finish_reason = reason or draft.finish_reason
    for part in items(get(candidate, "content", "parts")):
        if get(part, "thought") is not True:
            draft.say(text(get(part, "text")))
        call = _either(part, "function_call", "functionCall")
        if call is not None:
            draft.call(name(get(call, "name")), name(get(call, "id")))
    _read_logprobs(draft, candidate)


def _read_usage(draft: Draft, usage: Any) -> None:
    """Thoughts are counted beside the candidates' tokens, tools' results beside the prompt's."""
    thoughts = count(_either(usage, "thoughts_token_count", "thoughtsTokenCount"))
    draft.tokens = Tokens(
        input=total(
            count(_either(usage, "prompt_token_count", "promptTokenCount")),
            count(_either(usage, "tool_use_prompt_token_count", "toolUsePromptTokenCount")),
        ),
        output=total(
            count(_either(usage, "candidates_token_count", "candidatesTokenCount")), thoughts
        ),
        cache_read=count(_either(usage, "cached_content_token_count", "cachedContentTokenCount")),
        reasoning=thoughts,
    )
    if _either(usage, "traffic_type", "trafficType") is not None:  # Vertex AI's alone
        draft.provider = "gcp.vertex_ai"


def _read_logprobs(draft: Draft, candidate: Any) -> None:
    result = _either(candidate, "logprobs_result", "logprobsResult")
    chosen = items(_either(result, "chosen_candidates", "chosenCandidates"))
    for token in chosen:
        draft.logprob(number(_either(token, "log_probability", "logProbability")))
    mean = number(_either(candidate, "avg_logprobs", "avgLogprobs"))
    if mean is not None and not chosen:
        draft.confidence = math.exp(min(mean, 0.0))
