"""Reads a handler's arguments: by parameter name, by dotted path, or by a function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from otel_chat._common.checks import is_a
from otel_chat.errors import ConfigurationError

Getter = Callable[[tuple[Any, ...], dict[str, Any]], Any]


def name_of(function: Any) -> str:
    """What a function is called; a partial as what it calls, an object as its class.

    Example:
        >>> name_of(len), name_of(functools.partial(len)), name_of(functools.partial)
        ('len', 'len', 'partial')
    """
    while isinstance(function, functools.partial):
        function = function.func
    found = getattr(function, "__name__", None)
    return found if isinstance(found, str) else type(function).__name__


def is_function(value: object) -> bool:
    """Whether a decorator's only argument is what it stands bare on."""
    return callable(value) or is_a(value, classmethod, staticmethod)


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
            f"chat_handler: {option} must be a parameter's name or a function, not a "
            f"{type(source).__name__}."
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
