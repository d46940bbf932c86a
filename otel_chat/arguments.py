"""Reads a handler's arguments: by parameter name, by dotted path, or by a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from otel_chat.errors import ConfigurationError

Getter = Callable[[tuple[Any, ...], dict[str, Any]], Any]


def argument_getter(
    function: Callable[..., Any], option: str, source: str | Callable[..., Any] | None
) -> Getter | None:
    """A reader of what `source` names, found out when the handler is decorated.

    Args:
        function: The handler.
        option: The decorator's option, for the error.
        source: A parameter's name, a dotted path that begins with one, a function of the handler's
            arguments, or None.

    Raises:
        ConfigurationError: the handler has no such parameter; names those it has.

    Example:
        >>> def answer(text, session=None): ...
        >>> get = argument_getter(answer, "conversation_id", "session.id")
        >>> get(("Hello",), {"session": {"id": "c-1"}})
        'c-1'
    """
    if source is None:
        return None
    if callable(source):
        return lambda args, kwargs: source(*args, **kwargs)
    if not isinstance(source, str):
        raise ConfigurationError(
            f"chat_handler: {option} must be a parameter's name or a function, not {source!r}."
        )
    name, *path = source.split(".")
    read = _parameter(function, option, name)
    if not path:
        return read
    return lambda args, kwargs: _follow(read(args, kwargs), path)


def _parameter(function: Callable[..., Any], option: str, name: str) -> Getter:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return lambda _, kwargs: kwargs.get(name)
    found = parameters.get(name)
    if found is None:
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return lambda _, kwargs: kwargs.get(name)
        raise ConfigurationError(
            f"chat_handler: {option}={name!r}, but the handler's parameters are "
            f"{', '.join(parameters) or 'none'}. Name one of them, or pass a function."
        )
    default = None if found.default is found.empty else found.default
    positional = (found.POSITIONAL_ONLY, found.POSITIONAL_OR_KEYWORD)
    place = list(parameters).index(name) if found.kind in positional else None

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if place is not None and place < len(args):
            return args[place]
        return kwargs.get(name, default)

    return read


def _follow(value: Any, path: list[str]) -> Any:
    for part in path:
        if value is None:
            return None
        value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
    return value
