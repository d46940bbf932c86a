"""Which attributes and events of spans hold what people and models wrote.

Ours are made with content capture in mind; those of other libraries are not, and many hold texts
by default. What leaves through our exporters is held to one rule: without content capture they
are left out, with it they are redacted. `docs/privacy.md` shows the rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from otel_chat import semconv as sc

Redact = Callable[[object], object]
"""Redacts data made of mappings, lists, texts and numbers."""

WORDS: Final = frozenset(
    {
        "args", "arguments", "body", "choice", "choices", "command", "completion", "completions",
        "content", "contents", "delta", "documents", "explanation", "input", "inputs",
        "instructions", "message", "messages", "output", "outputs", "parameters", "prompt",
        "prompts", "query", "question", "reasoning", "reply", "response", "stacktrace", "statement",
        "summary", "text", "texts", "thinking", "thought", "tool_calls", "transcript", "vector",
    }
)  # fmt: skip
"""Last parts of keys under which texts are kept, whoever makes them (`gen_ai.prompt.0.content`)."""

EXACT: Final = frozenset(
    {
        "all_messages_events", "ai.value", "ai.values", "ai.schema", "events", "final_result",
        "formatted_description", "gcp.vertex.agent.data", "gcp.vertex.agent.llm_request",
        "gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_call_args",
        "gcp.vertex.agent.tool_response", "gen_ai.system_instructions", "gen_ai.tool.definitions",
        "input.value", "output.value", "llm.function_call", "llm.tools", "logfire.msg",
        "mlflow.spaninputs", "mlflow.spanoutputs", "model_request_parameters", "new_message_events",
        "pydantic_ai.all_messages", "pydantic_ai.new_messages", "request_data", "response_data",
        "tool_arguments", "tool_response", "traceloop.entity.input", "traceloop.entity.output",
    }
)  # fmt: skip

PREFIXES: Final = (
    "ai.prompt.", "ai.response.object", "ai.response.text", "ai.response.toolcalls",
    "ai.response.reasoning", "ai.result.", "ai.toolcall.args", "ai.toolcall.result",
    "db.operation.parameter.", "db.query.parameter.", "gen_ai.completion", "gen_ai.prompt",
    "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "haystack.component.input",
    "haystack.component.output", "haystack.pipeline.input_data", "haystack.pipeline.output_data",
    "http.request.body.content", "http.response.body.content", "langfuse.observation.input",
    "langfuse.observation.output", "langfuse.trace.input", "langfuse.trace.output",
    "llm.completions", "llm.input_messages", "llm.output_messages", "llm.prompt_template",
    "llm.prompts",
)  # fmt: skip

HARMLESS: Final = re.compile(
    r"^gen_ai\.prompt\.(name|version|id)$"
    r"|^(gen_ai\.(prompt|completion)|llm\.(input|output)_messages)\.\d+\.(message\.)?"
    r"(role|finish_reason)$"
    r"|^gen_ai\.(prompt|completion)_tokens$"
)

URLS: Final = frozenset({"http.target", "http.url", "url.full"})
"""Addresses: their query may be a message (`/chat?text=Hello`)."""

OURS: Final = "otel_chat"
"""Scope of our own spans and events, and the beginning of our own names."""


@lru_cache(maxsize=8192)
def is_content(key: str) -> bool:
    """Whether an attribute of this name holds what somebody wrote.

    Example:
        >>> [is_content(key) for key in ("gen_ai.input.messages", "llm.input_messages.0.message"
        ...     ".content", "gen_ai.usage.input_tokens", "exception.type", "exception.message")]
        [True, True, False, False, True]
    """
    lowered = key.lower()
    if lowered.startswith(f"{OURS}.") and lowered not in (sc.MESSAGE_TEXT, sc.ENTITY_VALUE):
        return False
    if HARMLESS.match(lowered):
        return False
    return (
        lowered in EXACT or lowered.startswith(PREFIXES) or re.split(r"[./]", lowered)[-1] in WORDS
    )


def clean(given: Mapping[str, Any], redact: Redact | None) -> Mapping[str, Any]:
    """Attributes without content, or with content redacted; the same object where none is there.

    Args:
        given: Attributes as OTLP can carry them.
        redact: Redacts content; None leaves it out.

    Example:
        >>> clean({"gen_ai.prompt.0.content": "hi", "url.full": "http://a/b?text=hi"}, None)
        {'url.full': 'http://a/b'}
    """
    if not any(is_content(key) or key in URLS for key in given):
        return given
    found: dict[str, Any] = {}
    for key, value in given.items():
        if not is_content(key):
            found[key] = _address(value, redact) if key in URLS else value
        elif redact is not None:
            found[key] = _redacted(value, redact)
    return found


def _address(value: object, redact: Redact | None) -> object:
    if not isinstance(value, str):
        return value
    return re.split(r"[?#]", value, maxsplit=1)[0] if redact is None else redact(value)


def _redacted(value: object, redact: Redact) -> object:
    """Text that is JSON stays JSON: the server reads messages out of it."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            data = json.loads(value)
        except (ValueError, RecursionError):
            return redact(value)
        return json.dumps(redact(data), ensure_ascii=False, separators=(",", ":"))
    return redact(value)
