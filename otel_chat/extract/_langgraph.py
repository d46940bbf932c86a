"""LangGraph: what its ways to stream put around messages and states.

A part may be a message with the node that it comes from, a state, what each node adds to it, or
a task's result; with several modes or subgraphs, it stands in a tuple beside their names, in
version 2 in a dictionary. Messages carry ids, so that what is repeated counts once.
"""

from __future__ import annotations

from typing import Any, Final

from otel_chat.extract._langchain import is_answer, is_from_user
from otel_chat.extract._reading import get, items

_MODES: Final = frozenset(
    {"values", "updates", "messages", "custom", "tasks", "debug", "checkpoints"}
)
_NOT_READ: Final = frozenset({"tasks", "debug", "checkpoints"})
_NODE: Final = "langgraph_node"
_DEPTH: Final = 8
_MOST: Final = 2_000


def within(value: Any) -> Any:
    """The message in a part of a stream, or a state of the messages in it; None without any.

    Example:
        >>> answer = {"type": "ai", "content": "Hi", "response_metadata": {}}
        >>> within((("sub:1",), (answer, {"langgraph_node": "agent"}))) is answer
        True
        >>> within({"agent": {"messages": [answer]}}) == {"messages": [answer]}
        True
    """
    value = part(value)[1]
    if type(value) is tuple and value and is_answer(value[0]):
        return value[0]
    messages: list[Any] = []
    _gather(value, messages, [_MOST], 0)
    return {"messages": messages} if any(map(is_answer, messages)) else None


def _gather(value: Any, found: list[Any], left: list[int], depth: int) -> None:
    left[0] -= 1
    if left[0] < 0 or depth > _DEPTH:
        return
    if is_answer(value) or is_from_user(value):
        found.append(value)
        return
    inside = value.values() if type(value) is dict else items(value)
    for item in inside:
        if item is not None and not isinstance(item, str | bytes | int | float):
            _gather(item, found, left, depth + 1)


def part(chunk: Any) -> tuple[str | None, Any]:
    """The mode of a part of a stream and what it holds; None and the chunk where it is no part.

    Example:
        >>> part((("sub:1",), "custom", {"token": "Hi"}))
        ('custom', {'token': 'Hi'})
        >>> part("Hi")
        (None, 'Hi')
    """
    if type(chunk) is dict and "ns" in chunk and _is_mode(get(chunk, "type")):
        return chunk["type"], chunk.get("data")
    if type(chunk) is not tuple or not chunk:
        return None, chunk
    rest = chunk
    if type(chunk[0]) is tuple and all(isinstance(name, str) for name in chunk[0]):
        rest = chunk[1:]
    if len(rest) == 2 and _is_mode(rest[0]):  # noqa: PLR2004 - a mode and its part
        return rest[0], rest[1]
    if len(rest) == 2 and get(rest[1], _NODE) is not None:  # noqa: PLR2004
        return "messages", rest
    return (None, chunk) if rest is chunk else ("values", rest[0] if len(rest) == 1 else rest)


def _is_mode(value: Any) -> bool:
    return isinstance(value, str) and value in _MODES


def is_read(mode: str | None) -> bool:
    """Whether a user may read text in a part of this mode."""
    return mode not in _NOT_READ
