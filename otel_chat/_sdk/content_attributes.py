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
        "content", "contents", "delta", "document", "documents", "explanation", "fragment", "input",
        "inputs", "instructions", "message", "messages", "output", "outputs", "parameters",
        "prompt", "prompts", "query", "query_string", "question", "reasoning", "reply", "response",
        "stacktrace", "statement", "summary", "text", "texts", "thinking", "thought", "tool_calls",
        "transcript", "vector",
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

HEADERS: Final = re.compile(
    r"^(http|rpc(\.\w+)?)\.(request|response)\.(header|metadata)\."
    r"(?!(accept(-\w+)?|content-(encoding|length|type)|host|traceparent|user-agent"
    r"|x-(correlation|request)-id)$)"
)
"""Headers that may hold a text or a secret: all but those whose values are known to be neither."""

ADDRESSES: Final = re.compile(
    r"(^|[./_-])(href|location|refer?rer|target|ur[il])$|^url\.original$|^http\.request\.line$"
)
"""Keys under which an address may stand without its scheme (`/chat?text=Hello`)."""

URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
"""How an address begins, under whatever key it stands."""

USERS: Final = tuple(
    re.compile(rf"^([a-z][a-z0-9+.-]*://){user}@", re.IGNORECASE)
    for user in (r"[^\s:/?#@]*:(?!\d{1,5}([/?#]|$))\S*?", r"[^/?#]*")
)
"""Who asks, before the host: in a password that nobody encoded there may be anything."""

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
        lowered in EXACT
        or lowered.startswith(PREFIXES)
        or re.split(r"[./]", lowered)[-1] in WORDS
        or HEADERS.match(lowered) is not None
    )


def address(text: str) -> str:
    """A URL, or the end of one, without what may hold a message or a secret.

    User and password, query and fragment are left out.

    Args:
        text: The address.

    Example:
        >>> address("https://me:pw@shop.example/chat?text=Hello#end"), address("/chat?text=Hello")
        ('https://shop.example/chat', '/chat')
    """
    return re.split(r"[?#]", _without_user(text), maxsplit=1)[0]


def name(text: str) -> str:
    """The name of a span with its address, if one is in it, cut as `address` does.

    Example:
        >>> name("GET /chat?text=Hello"), name("Is this a question?")
        ('GET /chat', 'Is this a question?')
    """
    return " ".join(address(word) if "/" in word else word for word in text.split(" "))


def _without_user(text: str) -> str:
    for pattern in USERS:
        text = pattern.sub(r"\1", text, count=1)
    return text


@lru_cache(maxsize=8192)
def _is_address(key: str) -> bool:
    return ADDRESSES.search(key.lower()) is not None


def clean(given: Mapping[str, Any], redact: Redact | None) -> Mapping[str, Any]:
    """Attributes without content, or with content redacted.

    Args:
        given: Attributes as OTLP can carry them.
        redact: Redacts content; None leaves it out.

    Example:
        >>> clean({"gen_ai.prompt.0.content": "hi", "url.full": "http://a/b?text=hi"}, None)
        {'url.full': 'http://a/b'}
    """
    found: dict[str, Any] = {}
    for key, value in given.items():
        if not is_content(key):
            found[key] = _addresses(key, value, redact)
        elif redact is not None:
            found[key] = _redacted(value, redact)
    return found


def _addresses(key: str, value: Any, redact: Redact | None) -> Any:
    """The value with each address in it cut or redacted; those under our names are so already."""
    if isinstance(value, list | tuple):
        return [_addresses(key, each, redact) for each in value]
    if not isinstance(value, str) or key.startswith(f"{OURS}."):
        return value
    if not ("://" in value and URL.match(value)) and not _is_address(key):
        return value
    # What stands before the host is a name or a password, whatever is captured
    return address(value) if redact is None else redact(_without_user(value))


def _redacted(value: object, redact: Redact) -> object:
    """Text that is JSON stays JSON: the server reads messages out of it."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            data = json.loads(value)
        except (ValueError, RecursionError):
            return redact(value)
        return json.dumps(redact(data), ensure_ascii=False, separators=(",", ":"))
    return redact(value)
