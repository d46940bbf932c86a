"""Google: `generate_content` answers of Gemini and Vertex AI, whole and streamed."""

from __future__ import annotations

import math
from typing import Any

from otel_chat.extract._draft import Draft, Tokens
from otel_chat.extract._reading import count, get, items, main, name, number, text, total


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
    response_id = name(_either(value, "response_id", "responseId"))
    candidate = main(get(value, "candidates"))
    if response_id is not None:
        draft.turn_to(response_id)
    elif draft.answer.finish_reason and items(get(candidate, "content", "parts")):
        draft.begin()  # older versions have no ids, and this is the next answer
    draft.answer.model = name(_either(value, "model_version", "modelVersion")) or draft.answer.model
    draft.answer.response_id = response_id or draft.answer.response_id
    usage = _either(value, "usage_metadata", "usageMetadata")
    draft.answer.provider = draft.answer.provider or "gcp.gemini"
    if usage is not None:
        _read_usage(draft, usage)
    if candidate is None:
        return
    reason = name(_either(candidate, "finish_reason", "finishReason"))
    draft.answer.finish_reason = reason or draft.answer.finish_reason
    for part in items(get(candidate, "content", "parts")):
        if get(part, "thought") is not True:
            draft.say(text(get(part, "text")))
        call = _either(part, "function_call", "functionCall")
        if call is not None:
            draft.call(name(get(call, "name")), name(get(call, "id")))
    _read_logprobs(draft, candidate)


def _read_usage(draft: Draft, usage: Any) -> None:
    """Thoughts are counted beside the candidates' tokens, tools' results beside the prompt's.

    Where the total says that they are not, it is right: routers count in their own ways.
    """
    thoughts = count(_either(usage, "thoughts_token_count", "thoughtsTokenCount"))
    made = count(_either(usage, "candidates_token_count", "candidatesTokenCount"))
    if made is None:  # the live API
        made = count(_either(usage, "response_token_count", "responseTokenCount"))
    taken = total(
        count(_either(usage, "prompt_token_count", "promptTokenCount")),
        count(_either(usage, "tool_use_prompt_token_count", "toolUsePromptTokenCount")),
    )
    whole = count(_either(usage, "total_token_count", "totalTokenCount"))
    within = made is not None and thoughts and whole == made + (taken or 0) and thoughts <= made
    draft.answer.tokens.update(
        Tokens(
            input=taken,
            output=made if within else total(made, thoughts),
            cache_read=count(
                _either(usage, "cached_content_token_count", "cachedContentTokenCount")
            ),
            reasoning=thoughts,
        )
    )
    if _either(usage, "traffic_type", "trafficType") is not None:  # Vertex AI's alone
        draft.answer.provider = "gcp.vertex_ai"


def _read_logprobs(draft: Draft, candidate: Any) -> None:
    result = _either(candidate, "logprobs_result", "logprobsResult")
    chosen = items(_either(result, "chosen_candidates", "chosenCandidates"))
    for token in chosen:
        draft.logprob(number(_either(token, "log_probability", "logProbability")))
    mean = number(_either(candidate, "avg_logprobs", "avgLogprobs"))
    if mean is not None and not chosen:
        draft.confidence = math.exp(min(mean, 0.0))
