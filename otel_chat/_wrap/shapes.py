"""Wraps a function of any shape so that each call drives a turn or a step."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from otel_chat._wrap.streams import (
    AsyncStream,
    Finish,
    Guard,
    Run,
    SyncStream,
    async_generator,
    awaited,
    generator,
    take_up,
)

R = TypeVar("R", bound=Run)
Open = Callable[[tuple[Any, ...], dict[str, Any]], R]


def wrapper_of(
    function: Callable[..., Any], begin: Open[R], closer: Callable[[R], Finish]
) -> Callable[..., Any]:
    """A wrapper of the function's own shape, name and signature.

    Args:
        function: A function, coroutine function, generator or async generator function, or any
            other callable.
        begin: Starts, without attaching it, what a call with these arguments drives; never raises.
        closer: Makes what is told of the call's result.
    """
    wrapper = _wrapper(function, begin, closer)
    try:
        functools.update_wrapper(wrapper, function)
    except AttributeError:
        wrapper.__wrapped__ = function  # type: ignore[attr-defined]
    _keep_methods(wrapper, function)
    return wrapper


def _keep_methods(wrapper: Callable[..., Any], function: Callable[..., Any]) -> None:
    """Gives the wrapper the methods of what is no plain function, such as a cache's."""
    for name in dir(type(function)):
        if name.startswith("_") or hasattr(wrapper, name):
            continue
        with suppress(Exception):  # somebody else's class
            if inspect.isroutine(inspect.getattr_static(type(function), name)):
                setattr(wrapper, name, getattr(function, name))


def _wrapper(
    function: Callable[..., Any], begin: Open[R], closer: Callable[[R], Finish]
) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        run = begin(args, kwargs)
        token = run.attach()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            run.detach(token)
            run.finish(error)
            raise
        run.detach(token)
        return take_up(run, result, closer(run))

    def opened(args: Any, kwargs: Any) -> tuple[Guard, Any]:
        run = begin(args, kwargs)
        guard = Guard(run, closer(run))
        with guard.step():  # wrong arguments are its end
            return guard, function(*args, **kwargs)

    async def acall(*args: Any, **kwargs: Any) -> Any:
        return await awaited(*opened(args, kwargs))

    def stream(args: Any, kwargs: Any) -> SyncStream:
        return SyncStream(*opened(args, kwargs))

    def astream(args: Any, kwargs: Any) -> AsyncStream:
        return AsyncStream(*opened(args, kwargs))

    match _shape(function):
        case "coroutine":
            return acall
        case "generator":
            return generator(stream)
        case "async generator":
            return async_generator(astream)
        case _:
            return call


def _shape(function: Callable[..., Any]) -> str:
    for candidate in (function, getattr(type(function), "__call__", None)):  # noqa: B004
        if inspect.isasyncgenfunction(candidate):
            return "async generator"
        if inspect.iscoroutinefunction(candidate):
            return "coroutine"
        if inspect.isgeneratorfunction(candidate):
            return "coroutine" if _is_awaitable(candidate) else "generator"
    return "plain"


def _is_awaitable(function: Any) -> bool:
    """Whether a generator function makes coroutines, by `types.coroutine`."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(inspect.unwrap(function), "__code__", None)
    return bool(getattr(code, "co_flags", 0) & inspect.CO_ITERABLE_COROUTINE)
