"""What the instrumentations of others call what `semconv` names: one dictionary for all of them.

Each tuple lists an attribute's names, the one that is believed first in front: the present names
of OpenTelemetry, its former ones, then OpenInference, OpenLLMetry, the Vercel AI SDK, LangSmith,
Spring AI, Azure AI, Langfuse, Logfire, Pipecat and LiveKit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from otel_chat import semconv as sc
from otel_chat._messages import (
    EVENTS,
    Message,
    decoded,
    in_parts,
    of_events,
    read,
    text_message,
    written,
)
from otel_chat._usage import Usage
from otel_chat.extract import Tokens

Kind = Literal["turn", "agent", "workflow", "chat", "tool", "other"]
Attributes = Mapping[str, Any]

CONVERSATION_IDS: Final = (
    sc.CONVERSATION_ID,
    "session.id",
    "langfuse.session.id",
    "traceloop.association.properties.conversation_id",
    "traceloop.association.properties.session_id",
    "traceloop.association.properties.thread_id",
    "traceloop.association.properties.chat_id",
    "ai.telemetry.metadata.conversationId",
    "ai.telemetry.metadata.sessionId",
    "ai.telemetry.metadata.threadId",
    "ai.telemetry.metadata.chatId",
    "langsmith.metadata.conversation_id",
    "langsmith.metadata.session_id",
    "langsmith.metadata.thread_id",
    "gcp.vertex.agent.session_id",
    "spring.ai.chat.client.conversation.id",
    "gen_ai.thread.id",
    "conversation.id",
    "lk.pii.room_name",
    "lk.room_name",
)
AGENTS: Final = (
    sc.AGENT_NAME,
    "agent.name",
    "lk.agent_name",
    "lk.agent_label",
    "ai.telemetry.functionId",
)
_AGENTS_IN_METADATA: Final = ("lc_agent_name", "agent_name")
REQUEST_MODELS: Final = (
    sc.REQUEST_MODEL,
    "llm.model_name",
    "ai.model.id",
    "llm.request.model",
    "langfuse.observation.model.name",
)
RESPONSE_MODELS: Final = (sc.RESPONSE_MODEL, "ai.response.model", "llm.response.model")
PROVIDERS: Final = (
    sc.PROVIDER_NAME,
    "gen_ai.system",
    "llm.provider",
    "llm.system",
    "llm.vendor",
    "ai.model.provider",
)
PROMPTS: Final = (sc.PROMPT_NAME, "traceloop.prompt.key", "langfuse.observation.prompt.name")
PROMPT_VERSIONS: Final = (
    sc.PROMPT_VERSION,
    "traceloop.prompt.version",
    "langfuse.observation.prompt.version",
)
RESPONSE_IDS: Final = (sc.RESPONSE_ID, "ai.response.id", "llm.response.id")
TOOLS: Final = (sc.TOOL_NAME, "tool.name", "ai.toolCall.name", "lk.function_tool.name")
TOKENS: Final[Mapping[str, tuple[str, ...]]] = {
    "input": (
        sc.GEN_AI_INPUT_TOKENS,
        "gen_ai.aggregated_usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
        "llm.usage.prompt_tokens",
        "ai.usage.inputTokens",
        "ai.usage.promptTokens",
    ),
    "output": (
        sc.GEN_AI_OUTPUT_TOKENS,
        "gen_ai.aggregated_usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
        "llm.usage.completion_tokens",
        "ai.usage.outputTokens",
        "ai.usage.completionTokens",
    ),
    "cache_read": (
        sc.GEN_AI_CACHE_READ_TOKENS,
        "gen_ai.aggregated_usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "llm.token_count.prompt_details.cache_read",
        "llm.usage.cache_read_input_tokens",
        "ai.usage.cachedInputTokens",
    ),
    "reasoning": (
        sc.GEN_AI_REASONING_TOKENS,
        "gen_ai.aggregated_usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
        "llm.usage.reasoning_tokens",
        "ai.usage.reasoningTokens",
    ),
    "cache_write": (
        sc.GEN_AI_CACHE_WRITE_TOKENS,
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.aggregated_usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",
        "llm.token_count.prompt_details.cache_write",
        "llm.usage.cache_creation_input_tokens",
    ),
}
USAGE_DETAILS: Final = "langfuse.observation.usage_details"
TOTALS: Final = (
    "gen_ai.usage.total_tokens",
    "llm.token_count.total",
    "llm.usage.total_tokens",
    "ai.usage.totalTokens",
)
COUNTED: Final = (USAGE_DETAILS, *(name for names in TOKENS.values() for name in names))
"""Where tokens stand."""
COST_DETAILS: Final = "langfuse.observation.cost_details"
COSTS: Final = (sc.COST_AMOUNT, "gen_ai.usage.cost", "llm.cost.total", "operation.cost")
INPUTS: Final = (
    sc.INPUT_MESSAGES,
    "gen_ai.prompt",
    "pydantic_ai.all_messages",
    "all_messages_events",
    "ai.prompt.messages",
    "ai.prompt",
    "lk.pii.user_input",
    "lk.user_input",
    "input.value",
    "traceloop.entity.input",
    "gcp.vertex.agent.llm_request",
    "langfuse.observation.input",
    "request_data",
    "input",
)
OUTPUTS: Final = (
    sc.OUTPUT_MESSAGES,
    "gen_ai.completion",
    "final_result",
    "ai.response.text",
    "ai.result.text",
    "lk.pii.response.text",
    "lk.response.text",
    "output.value",
    "traceloop.entity.output",
    "gcp.vertex.agent.llm_response",
    "langfuse.observation.output",
    "response_data",
    "output",
)
FIRST_CHUNK_SECONDS: Final = (
    sc.GEN_AI_TIME_TO_FIRST_CHUNK,
    sc.TIME_TO_FIRST_CHUNK,
    "lk.response.ttft",
    "metrics.ttfb",
)
FIRST_CHUNK_MILLISECONDS: Final = ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk")
_MOST_TOKENS: Final = 10**9
"""So many in one call are none that were counted."""
_KIND_ATTRIBUTES: Final = (
    "openinference.span.kind",
    "traceloop.span.kind",
    "langsmith.span.kind",
    "llm.request.type",
    "operation.name",
    "ai.operationId",
    "langfuse.observation.type",
)
_DETAILS: Final = "gen_ai.client.inference.operation.details"
TELLING: Final = (*EVENTS, _DETAILS)
"""Events that tell of a model call, on its span or as log records that name it."""
MARKS: Final = (sc.OPERATION_NAME, *_KIND_ATTRIBUTES, *CONVERSATION_IDS)
"""Attributes of which a span of an agent or a model carries at least one."""

_TOLD_BY: Final = (sc.OPERATION_NAME, *_KIND_ATTRIBUTES)
_KINDS: Final[Mapping[str, Kind]] = {
    sc.OPERATION_INVOKE_AGENT: "agent",
    sc.OPERATION_INVOKE_WORKFLOW: "workflow",
    sc.OPERATION_CHAT: "chat",
    "generate_content": "chat",
    "text_completion": "chat",
    "completion": "chat",
    "chat.completions": "chat",
    "chat.streaming_completions": "chat",
    "text.completions": "chat",
    "text.streaming_completions": "chat",
    "generation": "chat",
    sc.OPERATION_EXECUTE_TOOL: "tool",
    "agent": "agent",
    "process_thread_run": "agent",
    "chain": "workflow",
    "workflow": "workflow",
    "llm": "chat",
    "tool": "tool",
}
OPERATIONS: Final[Mapping[str, str]] = {
    "llm": sc.OPERATION_CHAT,
    "chat": sc.OPERATION_CHAT,
    "completion": "text_completion",
    "generation": sc.OPERATION_CHAT,
    "chat.completions": sc.OPERATION_CHAT,
    "chat.streaming_completions": sc.OPERATION_CHAT,
    "text.completions": "text_completion",
    "text.streaming_completions": "text_completion",
    "ai.generatetext.dogenerate": sc.OPERATION_CHAT,
    "ai.streamtext.dostream": sc.OPERATION_CHAT,
    "ai.generateobject.dogenerate": sc.OPERATION_CHAT,
    "ai.streamobject.dostream": sc.OPERATION_CHAT,
    "embedding": "embeddings",
    "ai.embed.doembed": "embeddings",
    "ai.embedmany.doembed": "embeddings",
    "retriever": sc.OPERATION_RETRIEVAL,
    "tool": sc.OPERATION_EXECUTE_TOOL,
    "ai.toolcall": sc.OPERATION_EXECUTE_TOOL,
    "agent": sc.OPERATION_INVOKE_AGENT,
    "process_thread_run": sc.OPERATION_INVOKE_AGENT,
}
"""`gen_ai.operation.name` by what others call it or a span's kind, in small letters."""
SPAN_KINDS: Final = (
    "openinference.span.kind",
    "traceloop.span.kind",
    "langsmith.span.kind",
    "ai.operationId",
    "llm.request.type",
    "langfuse.observation.type",
)
"""Where they call it so."""
PREPARATION: Final = "._prepare_chat_with_tools"
"""How spans of LlamaIndex end that OpenInference says are a model's: these ask none."""
_FRAMEWORK_TURNS: Final = {"turn": "turn.number", "agent_turn": "lk.generation_id"}


def first(attributes: Attributes, names: Iterable[str]) -> Any:
    """The value of the first of several attributes that is there and not empty, else None.

    Example:
        >>> first({"llm.model_name": "m", "ai.model.id": "n"}, REQUEST_MODELS)
        'm'
    """
    for name in names:
        value = attributes.get(name)
        if value not in (None, ""):
            return value
    return None


def text(attributes: Attributes, names: Iterable[str]) -> str:
    """The same as text; empty where there is none."""
    value = first(attributes, names)
    return "" if value is None else str(value)


def agent(attributes: Attributes) -> str:
    """The agent that a span names, in an attribute or in OpenInference's metadata.

    Example:
        >>> agent({"metadata": '{"lc_agent_name": "support"}'})
        'support'
    """
    named = text(attributes, AGENTS)
    metadata = None if named else decoded(attributes.get("metadata"))
    return text(metadata, _AGENTS_IN_METADATA) if isinstance(metadata, dict) else named


def is_plain(attributes: Attributes) -> bool:
    """Whether a span tells what it answered as what its function returned, in plain text.

    Of an agent's own function that may be anything, such as an object's `repr`.

    Example:
        >>> is_plain({"output.value": "Response(x)"}), is_plain({"output.value": '{"x": "y"}'})
        (True, False)
    """
    value = first(attributes, OUTPUTS)
    return value is not None and value == attributes.get("output.value") and decoded(value) is value


def kind(name: str, attributes: Attributes) -> Kind:
    """What a span stands for.

    Args:
        name: Its name.
        attributes: Its attributes, as values or as text.

    Example:
        >>> kind("LangGraph", {"openinference.span.kind": "CHAIN"})
        'workflow'
        >>> kind("ai.streamText.doStream", {"ai.operationId": "ai.streamText.doStream"})
        'chat'
        >>> kind("GET /", {})
        'other'
        >>> kind("call_llm", {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 3})
        'chat'
        >>> kind("OpenAI._prepare_chat_with_tools", {"openinference.span.kind": "LLM"})
        'other'
    """
    if name.endswith(PREPARATION):
        return "other"
    mark = _FRAMEWORK_TURNS.get(name)
    if mark is not None and mark in attributes:
        return "turn"
    told = attributes.get(sc.OPERATION_NAME)
    if told not in (None, ""):
        return _KINDS.get(str(told), "other")
    for key in _KIND_ATTRIBUTES:
        value = str(attributes.get(key) or "").lower()
        if value.startswith("ai."):
            return _of_ai_sdk(value.split(" ")[0])
        if value:
            return _KINDS.get(value, "other")
    return "chat" if first(attributes, REQUEST_MODELS) and usage(attributes) else "other"


def _of_ai_sdk(operation: str) -> Kind:
    if operation.endswith((".dogenerate", ".dostream")):
        return "chat"
    if operation.startswith(("ai.generate", "ai.stream")):
        return "agent"
    return "tool" if operation == "ai.toolcall" else "other"


def usage(attributes: Attributes) -> Usage:
    """The tokens, cost, model and provider that a span carries.

    Example:
        >>> usage({"llm.token_count.prompt": "3", "gen_ai.system": "openai"})
        Usage(input_tokens=3, output_tokens=None, cache_read_tokens=None, reasoning_tokens=None, \
cache_write_tokens=None, model=None, provider='openai', cost=None, response_id=None, parts=())
    """
    told = {key: _count(first(attributes, names)) for key, names in TOKENS.items()}
    whole = _count(first(attributes, TOTALS))
    if all(count is None for count in told.values()):
        told, whole = _detailed(attributes)
    tokens = _balanced(Tokens(**told), whole)
    return Usage(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read,
        reasoning_tokens=tokens.reasoning,
        cache_write_tokens=tokens.cache_write,
        model=_told(attributes, (*RESPONSE_MODELS, *REQUEST_MODELS)),
        provider=_told(attributes, PROVIDERS),
        cost=_cost(attributes),
        response_id=_told(attributes, RESPONSE_IDS),
    )


def _cost(attributes: Attributes) -> float | None:
    told = _amount(first(attributes, COSTS))
    details = decoded(attributes.get(COST_DETAILS)) if told is None else None
    return _amount(details.get("total")) if isinstance(details, dict) else told


def _balanced(tokens: Tokens, whole: int | None) -> Tokens:
    """The counts of all of the input and the output, which some tell without their parts.

    Example:
        >>> _balanced(Tokens(input=20, output=3, cache_read=100), None).input
        120
        >>> _balanced(Tokens(input=120, output=3, cache_read=100), 123).input
        120
    """
    cached = (tokens.cache_read or 0) + (tokens.cache_write or 0)
    parts = {0, cached, tokens.reasoning or 0, cached + (tokens.reasoning or 0)}
    gap = None if whole is None else whole - (tokens.input or 0) - (tokens.output or 0)
    return tokens.balance(whole if gap in parts else None)


def _detailed(attributes: Attributes) -> tuple[dict[str, int | None], int | None]:
    """Langfuse's counts and their total, which is their sum where none is told.

    Example:
        >>> _detailed({USAGE_DETAILS: '{"input": 20, "input_cached_tokens": 100, "output": 3}'})
        ({'input': 20, 'output': 3, 'cache_read': 100, 'cache_write': None, 'reasoning': None}, 123)
    """
    details = decoded(attributes.get(USAGE_DETAILS))
    if not isinstance(details, dict):
        return {}, None
    counted = {str(key): n for key, value in details.items() if (n := _count(value)) is not None}
    whole = counted.pop("total", counted.pop("total_tokens", sum(counted.values())))
    cached = {key: n for key, n in counted.items() if "cache" in key}
    written = sum(n for key, n in cached.items() if "creat" in key or "write" in key)
    found = {
        "input": first(counted, ("input", "input_tokens", "prompt_tokens")),
        "output": first(counted, ("output", "output_tokens", "completion_tokens")),
        "cache_read": sum(cached.values()) - written or None,
        "cache_write": written or None,
        "reasoning": sum(n for key, n in counted.items() if "reasoning" in key) or None,
    }
    return found, whole


def counts(role: Kind, attributes: Attributes) -> bool:
    """Whether what a span uses is that of a model's answer: not of a tool or an embedding.

    Args:
        role: What it stands for.
        attributes: Its attributes.

    Example:
        >>> counts("chat", {"gen_ai.operation.name": "chat"}), counts("other", {})
        (True, True)
        >>> counts("other", {"gen_ai.operation.name": "embeddings"})
        False
    """
    return role not in ("tool", "other") or not any(attributes.get(key) for key in _TOLD_BY)


def _told(attributes: Attributes, names: Iterable[str]) -> str | None:
    value = first(attributes, names)
    return value if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str | float):  # whole ones, as some clients give them
        value = _amount(value)
        value = int(value) if value is not None and value.is_integer() else None
    return value if isinstance(value, int) and 0 <= value < _MOST_TOKENS else None


def _amount(value: Any) -> float | None:
    try:
        amount = float(value)
    except (TypeError, ValueError):
        return None
    return amount if 0 <= amount < 1e9 else None  # noqa: PLR2004 - as far as a cost is stored


def first_chunk(attributes: Attributes) -> float | None:
    """Seconds from a span's start to the first piece of its answer."""
    seconds = _amount(first(attributes, FIRST_CHUNK_SECONDS))
    if seconds is None:
        milliseconds = _amount(first(attributes, FIRST_CHUNK_MILLISECONDS))
        seconds = None if milliseconds is None else milliseconds / 1000
    return seconds


def input_messages(attributes: Attributes) -> str:
    """What was said to a span, as JSON messages; empty where it was not told.

    Example:
        >>> input_messages({"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "hi"})
        '[{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]'
    """
    return _messages(
        attributes, INPUTS, ("gen_ai.prompt.", "llm.input_messages.", "llm.prompts."), "user"
    )


def output_messages(attributes: Attributes) -> str:
    """What it answered, in the same form; of a whole history what came after the user's last.

    Example:
        >>> output_messages({"output": '[{"role": "user", "content": "a"}, {"content": "b"}]'})
        '[{"role": "assistant", "parts": [{"type": "text", "content": "b"}]}]'
    """
    listed = ("gen_ai.completion.", "llm.output_messages.", "llm.completions.")
    found = _messages(attributes, OUTPUTS, listed, "assistant")
    messages = decoded(found) if '"user"' in found else None
    if not isinstance(messages, list):
        return found
    asked = [n for n, one in enumerate(messages) if type(one) is dict and one.get("role") == "user"]
    return written(messages[asked[-1] + 1 :]) if asked else found


def _messages(
    attributes: Attributes, names: tuple[str, ...], listed: tuple[str, ...], role: str
) -> str:
    own = attributes.get(names[0])
    if own not in (None, ""):
        return in_parts(str(own), role)
    if found := [m for prefix in listed for m in _of_list(attributes, prefix, role)]:
        return written(found)
    value = first(attributes, names[1:])
    return "" if value is None else written(read(decoded(value), role))


def _of_list(attributes: Attributes, prefix: str, role: str) -> list[Message]:
    """Messages of which each field is an attribute of its own, numbered."""
    found: dict[int, dict[str, str]] = {}
    for key in sorted(attributes):
        if not key.startswith(prefix):
            continue
        number, _, field = key.removeprefix(prefix).partition(".")
        if number.isdigit():
            one = found.setdefault(int(number), {})
            field = field.removeprefix("message.")
            if field in ("role", "content"):
                one[field] = str(attributes[key])
            elif field.endswith(("message_content.text", "prompt.text")):  # which content repeats
                one["text"] = "\n".join(filter(None, (one.get("text"), str(attributes[key]))))
    return [
        text_message(one.get("role", role), one.get("text") or one["content"])
        for _, one in sorted(found.items())
        if "text" in one or "content" in one
    ]


def with_events(attributes: Mapping[str, str], events: str) -> Mapping[str, str]:
    """A span's attributes, and what events tell: messages, details, what an exception is called.

    Args:
        attributes: Its own, as text; they are believed first.
        events: Its events as JSON, or log records that name it; may be empty.

    Example:
        >>> events = '[{"name": "exception", "attributes": {"exception.type": "TimeoutError"}}]'
        >>> with_events({}, events)
        {'error.type': 'TimeoutError'}
    """
    if not events and "events" not in attributes:
        return attributes
    held = [decoded(events), decoded(attributes.get("events"))]
    known = [one for part in held if isinstance(part, list) for one in part if type(one) is dict]
    said, answered = of_events(known)
    told = {sc.INPUT_MESSAGES: written(said), sc.OUTPUT_MESSAGES: written(answered)}
    for event in known:
        inner = event.get("attributes")
        if isinstance(inner, dict):
            if event.get("name") == "exception":
                told[sc.ERROR_TYPE] = str(inner.get("exception.type") or "")
            elif event.get("name") == _DETAILS:
                told |= {name: str(value) for name, value in inner.items() if value}
    return {name: text for name, text in told.items() if text} | dict(attributes)
