"""Messages as frameworks write them, read into the form of OpenTelemetry's GenAI conventions.

A message is a role and parts: text, reasoning, a tool's call or response, and what is no text by
its kind alone. Pictures and sound are named and not kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

Message = dict[str, Any]
Part = dict[str, Any]

_ROLES: Final = {"human": "user", "ai": "assistant", "model": "assistant", "bot": "assistant"}
_KNOWN_ROLES: Final = frozenset({"user", "assistant", "system", "tool", "developer"})
_HOLDERS: Final = (
    *("messages", "contents", "content", "parts", "blocks", "text", "query", "question", "input"),
    *("inputs", "prompt", "message", "output", "outputs", "answer", "response", "result"),
    *("combined_chunk_content", "value"),  # Logfire's, of a stream; OpenAI's assistants
)
_TEXTS: Final = frozenset({"text", "input_text", "output_text", "refusal"})
_REASONING: Final = frozenset({"reasoning", "thinking", "redacted_thinking", "summary_text"})
_CALLS: Final = frozenset({"tool_call", "tool_use", "tool-call", "function_call", "function"})
_RESPONSE: Final = "tool_call_response"
_RESPONSES: Final = frozenset({_RESPONSE, "tool_result", "tool-result", "function_call_output"})
_MODALITIES: Final = ("image", "audio", "video", "file", "document")
_KEPT: Final = frozenset({"blob", "uri", "file"})
"""Parts of the conventions' own; what they hold in base64 is left out."""
_DEPTH: Final = 8


def decoded(value: Any) -> Any:
    """What a text says in JSON, where it does."""
    if isinstance(value, str) and value[:1] in '[{"':
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def written(messages: list[Message]) -> str:
    """Messages as JSON; empty where there are none.

    Example:
        >>> written([text_message("user", "hi")])
        '[{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]'
    """
    return json.dumps(messages, ensure_ascii=False) if messages else ""


def in_parts(text: str, role: str) -> str:
    """Messages as their sender wrote them, brought into parts where they are not.

    What a tool answered is no message of the user, under whose name some hand it to the model.

    Args:
        text: JSON, or what was said itself.
        role: Whose they are, where they do not say.

    Example:
        >>> in_parts('[{"role": "user", "content": "hi"}]', "user")
        '[{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]'
    """
    if '"parts"' not in text:
        return written(read(decoded(text), role)) or text
    if _RESPONSE not in text or not isinstance(messages := decoded(text), list):
        return text
    return written([_of_tool(message) for message in messages])


def _of_tool(message: Any) -> Any:
    parts = message.get("parts") if isinstance(message, dict) else None
    if not isinstance(parts, list) or not parts:
        return message
    kinds = {part.get("type") for part in _dicts(parts)}
    return {**message, "role": "tool"} if kinds == {_RESPONSE} else message


def text_message(role: str, text: str) -> Message:
    """A message of one text."""
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def read(value: Any, role: str, depth: int = 0) -> list[Message]:
    """Messages in a value of whatever make: a text, a message, a list of them, what holds one.

    Args:
        value: Decoded JSON.
        role: Whose they are, where they do not say.
        depth: How far in it stands.

    Example:
        >>> read([{"type": "text", "text": "hi"}, {"type": "image_url"}], "user")[0]["parts"]
        [{'type': 'text', 'content': 'hi'}, {'type': 'blob', 'modality': 'image'}]
    """
    if isinstance(value, str):
        return [text_message(role, value)] if value.strip() else []
    if depth >= _DEPTH:
        return []
    if isinstance(value, list):
        if all(_part(item) for item in value):
            return _message(role, value)
        return [one for item in value for one in read(item, role, depth + 1)]
    if not isinstance(value, dict):
        return []
    return _read_dict(value, role, depth)


def _read_dict(value: dict[str, Any], role: str, depth: int) -> list[Message]:
    kwargs = value.get("kwargs")
    if isinstance(kwargs, dict):  # LangChain's own serialisation
        value = kwargs
    told = _role(value)
    role = told or role
    calls = value.get("tool_calls")
    if told and isinstance(calls, list) and calls:
        content = value.get("content")
        spoken = content if isinstance(content, list) else [content] if content else []
        return _message(role, [*spoken, *({"type": "tool_call"} | one for one in _dicts(calls))])
    if told == "tool" and value.get("tool_call_id"):
        return _message(role, [value | {"type": "tool_call_response"}])
    for holder in _HOLDERS:
        held = value.get(holder)
        if held and (found := read(decoded(held), role, depth + 1)):
            return found
    return []


def _role(value: Mapping[str, Any]) -> str:
    """Who speaks, where a message says it."""
    said = str(value.get("role") or value.get("type") or "").lower()
    said = _ROLES.get(said, said)
    return said if said in _KNOWN_ROLES else ""


def _dicts(values: Iterable[Any]) -> Iterator[dict[str, Any]]:
    return (one for one in values if isinstance(one, dict))


def _message(role: str, parts: Iterable[Any]) -> list[Message]:
    made = [made for part in parts if (made := _part(part))]
    return [_of_tool({"role": role, "parts": made})] if made else []


def _part(value: Any) -> Part | None:  # noqa: PLR0911 - one return a kind of part
    """A part of a message; None for what is a message itself, or nothing."""
    if isinstance(value, str):
        return {"type": "text", "content": value}
    if not isinstance(value, dict) or value.get("role"):
        return None
    kind = str(value.get("type") or "").lower()
    text = value.get("text") if value.get("content") is None else value.get("content")
    if kind in _TEXTS or (not kind and isinstance(text, str) and len(value) == 1):
        said = value.get("refusal") if kind == "refusal" else text
        return {"type": "text", "content": said} if isinstance(said, str) else None
    if kind in _REASONING:
        said = text if isinstance(text, str) else value.get("thinking")
        return {"type": "reasoning", "content": said if isinstance(said, str) else ""}
    if kind in _CALLS or "toolUse" in value:
        return _call(value)
    if kind in _RESPONSES or "toolResult" in value:
        return _response(value)
    if kind in _KEPT and value.get("modality"):
        return {key: one for key, one in value.items() if key not in ("content", "data")}
    modality = next((one for one in _MODALITIES if one in kind), None)
    return None if modality is None else {"type": "blob", "modality": modality}


def _call(value: Mapping[str, Any]) -> Part:
    inner = value.get("function") or value.get("toolUse") or value
    inner = inner if isinstance(inner, dict) else value
    arguments = _first(inner, "arguments", "args", "input")
    part = {
        "type": "tool_call",
        "id": _first(value, "id", "call_id", "toolCallId") or inner.get("toolUseId"),
        "name": _first(inner, "name", "toolName"),
        "arguments": decoded(arguments),
    }
    return {key: one for key, one in part.items() if one is not None}


def _response(value: Mapping[str, Any]) -> Part:
    inner = value.get("toolResult")
    inner = inner if isinstance(inner, dict) else value
    part = {
        "type": "tool_call_response",
        "id": _first(inner, "tool_call_id", "tool_use_id", "call_id", "toolCallId", "toolUseId",
                     "id"),
        "response": _first(inner, "response", "content", "output", "result"),
    }  # fmt: skip
    return {key: one for key, one in part.items() if one is not None}


def _first(value: Mapping[str, Any], *names: str) -> Any:
    return next((value[name] for name in names if value.get(name) is not None), None)


_CHOICE: Final = "gen_ai.choice"
_PROMPT: Final = "gen_ai.content.prompt"
_COMPLETION: Final = "gen_ai.content.completion"
_SPOKEN: Final = {
    f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")
}
EVENTS: Final = (*_SPOKEN, _CHOICE, _PROMPT, _COMPLETION)
"""The events of a model call that are messages, as conventions had them up to 1.36."""
BODY: Final = "gen_ai.event.content"
"""The attribute in which the body of an event stands as JSON."""


def of_events(events: Iterable[Mapping[str, Any]]) -> tuple[list[Message], list[Message]]:
    """The messages in events of a model call, as conventions had them up to 1.36.

    Args:
        events: Each with `name` and `attributes`, in which the body may stand in JSON.

    Returns:
        What was said to the model, and what it said.

    Example:
        >>> said, answered = of_events([
        ...     {"name": "gen_ai.user.message", "attributes": {"content": "hi"}},
        ...     {"name": "gen_ai.choice", "attributes": {"message": "hello"}}])
        >>> said[0]["role"], answered[0]["parts"]
        ('user', [{'type': 'text', 'content': 'hello'}])
    """
    said: list[Message] = []
    answered: list[Message] = []
    for event in events:
        name, told = str(event.get("name") or event.get("event.name")), event.get("attributes")
        body = told if isinstance(told, dict) else dict(event)
        inner = decoded(body.get(BODY))
        body = body | inner if isinstance(inner, dict) else body
        if name in _SPOKEN:
            role = _SPOKEN[name]
            message = {key: decoded(body.get(key)) for key in ("content", "tool_calls", "id")}
            call_id = message.pop("id")
            said += read({"role": role, "tool_call_id": call_id} | message, role)
        elif name == _CHOICE:
            message = decoded(body.get("message") or body.get("content"))
            answered += read(message, "assistant")
        elif name == _PROMPT:
            said += read(decoded(body.get("gen_ai.prompt")), "user")
        elif name == _COMPLETION:
            answered += read(decoded(body.get("gen_ai.completion")), "assistant")
    if said and not answered and said[-1]["role"] == "assistant":
        answered = [said.pop()]  # Azure's agents: it is no choice of a model's that they tell
    return said, answered
