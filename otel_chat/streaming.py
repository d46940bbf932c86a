"""Replies that are not there yet: the turn ends when the last chunk was consumed."""

from __future__ import annotations

import inspect
import io
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextvars import Token
from types import TracebackType
from typing import Any, Protocol, Self

from opentelemetry.context import Context

from otel_chat.runtime import report_error

Finish = Callable[[object], object]
BODY_NAMES = ("body_iterator", "streaming_content")
"""Where responses keep their stream: Starlette and what builds on it, Django."""


class Run(Protocol):
    """What a function's call drives: a turn or a step inside one."""

    @property
    def is_live(self) -> bool:
        """Whether it is not over."""

    @property
    def follows(self) -> bool:
        """Whether a stream that the function returns is part of it."""

    def attach(self) -> Token[Context]:
        """Makes it current."""

    def detach(self, token: Token[Context], /) -> None:
        """Makes what was before it current."""

    def finish(self, error: BaseException | None = None, /, *, later: bool = False) -> None:
        """Ends it; only the first call counts."""

    def chunk(self, piece: object, /) -> None:
        """Notes a piece of a stream."""


class Guard:
    """The turn of a stream: each step runs attached, the end is noted once."""

    def __init__(self, turn: Run, inner: Any, on_result: Finish) -> None:
        self._turn = turn
        self._inner = inner
        self._on_result = on_result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def release(self) -> None:
        """Leaves the turn to somebody else."""
        del self._turn

    def __del__(self) -> None:
        # An abandoned stream: no lock may be taken here, so all work goes to the queue
        turn = self.__dict__.get("_turn")
        if turn is not None:
            turn.finish(GeneratorExit(), later=True)


class SyncStream(Guard):
    """An iterator or generator whose steps belong to a turn.

    Args:
        turn: Started, not attached.
        inner: What gives the chunks; `send`, `throw` and `close` pass through where it has them.
        on_result: Told of the generator's return value.
    """

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self._step(self._inner.__next__)

    def send(self, value: object) -> Any:
        """Passes a value in."""
        return self._step(self._inner.send, value)

    def throw(self, *error: Any) -> Any:
        """Raises an exception inside."""
        throw = getattr(self._inner, "throw", None)
        if throw is not None:
            return self._step(throw, *error)
        self._turn.finish(error[0] if isinstance(error[0], BaseException) else error[1])
        raise error[0]

    def close(self) -> None:
        """Ends the stream early: cancelled."""
        close = getattr(self._inner, "close", None)
        token = self._turn.attach()
        failure: BaseException = GeneratorExit()
        try:
            if close is not None:
                close()
        except BaseException as error:
            failure = error
            raise
        finally:
            self._turn.detach(token)
            self._turn.finish(failure)

    def __enter__(self) -> Self:
        enter = getattr(self._inner, "__enter__", None)
        if enter is not None:
            enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Any:
        leave = getattr(self._inner, "__exit__", None)
        try:
            return leave(kind, error, trace) if leave is not None else None
        finally:
            self._turn.finish(error or GeneratorExit())

    def _step(self, method: Callable[..., Any], *args: object) -> Any:
        turn = self._turn
        token = turn.attach()
        try:
            chunk = method(*args)
        except StopIteration as end:
            turn.detach(token)
            self._on_result(end.value)
            turn.finish()
            raise
        except BaseException as error:
            turn.detach(token)
            turn.finish(error)
            raise
        turn.detach(token)
        if turn.is_live:
            turn.chunk(chunk)
        return chunk


class AsyncStream(Guard):
    """An async iterator or generator whose steps belong to a turn; see `SyncStream`."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return await self._step(self._inner.__anext__)

    async def asend(self, value: object) -> Any:
        """Passes a value in."""
        return await self._step(self._inner.asend, value)

    async def athrow(self, *error: Any) -> Any:
        """Raises an exception inside."""
        return await self._step(self._inner.athrow, *error)

    async def aclose(self) -> None:
        """Ends the stream early: cancelled."""
        close = getattr(self._inner, "aclose", None)
        token = self._turn.attach()
        failure: BaseException = GeneratorExit()
        try:
            if close is not None:
                await close()
        except BaseException as error:
            failure = error
            raise
        finally:
            self._turn.detach(token)
            self._turn.finish(failure)

    async def __aenter__(self) -> Self:
        enter = getattr(self._inner, "__aenter__", None)
        if enter is not None:
            await enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Any:
        leave = getattr(self._inner, "__aexit__", None)
        try:
            return await leave(kind, error, trace) if leave is not None else None
        finally:
            self._turn.finish(error or GeneratorExit())

    async def _step(self, method: Callable[..., Awaitable[Any]], *args: object) -> Any:
        turn = self._turn
        token = turn.attach()
        try:
            chunk = await method(*args)
        except StopAsyncIteration:
            turn.detach(token)
            turn.finish()
            raise
        except BaseException as error:
            turn.detach(token)
            turn.finish(error)
            raise
        turn.detach(token)
        if turn.is_live:
            turn.chunk(chunk)
        return chunk


def generator(open_stream: Callable[..., SyncStream]) -> Callable[..., Generator[Any, Any, Any]]:
    """A real generator function over streams; `yield from` hands the whole protocol on."""

    def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from open_stream(args, kwargs))

    return generate


def async_generator(
    open_stream: Callable[..., AsyncStream],
) -> Callable[..., AsyncGenerator[Any, Any]]:
    """A real async generator function: values, exceptions and the close pass through."""

    async def generate(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        stream = open_stream(args, kwargs)
        try:
            chunk = await stream.__anext__()
            while True:
                try:
                    sent = yield chunk
                except GeneratorExit:
                    await stream.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - what the consumer throws goes in
                    chunk = await stream.athrow(error)
                else:
                    chunk = await (stream.__anext__() if sent is None else stream.asend(sent))
        except StopAsyncIteration:
            return

    return generate


async def awaited(guard: Guard, awaitable: Awaitable[Any]) -> Any:
    """Awaits attached, and takes the result up where it is a stream in turn."""
    turn = guard._turn
    token = turn.attach()
    try:
        result = await awaitable
    except BaseException as error:
        turn.detach(token)
        turn.finish(error)
        raise
    turn.detach(token)
    guard.release()
    return take_up(turn, result, guard._on_result)


def take_up(turn: Run, result: Any, on_result: Finish) -> Any:
    """What the handler returned, for its caller: a stream is wrapped, else the turn ends here.

    Args:
        turn: The turn, detached.
        result: The handler's result.
        on_result: Told of a result that is whole.
    """
    wrap = _PLAIN.get(type(result), _wrap) if turn.follows else None
    if wrap is not None:
        try:
            wrapped = wrap(turn, result, on_result)
        except Exception as error:  # noqa: BLE001 - the caller gets what the handler gave
            turn.finish()
            report_error("streaming", error)
            return result
        if wrapped is not None:
            return wrapped
    on_result(result)
    turn.finish()
    return result


_PLAIN: dict[type, None] = dict.fromkeys(
    (str, bytes, int, float, bool, dict, list, tuple, set, type(None))
)
"""The types of nearly every result: no stream, found out without looking."""


def _wrap(turn: Run, result: Any, on_result: Finish) -> Any:
    kind = type(result)
    if inspect.isgenerator(result):
        stream = SyncStream(turn, result, on_result)
        return generator(lambda *_: stream)()
    if inspect.isasyncgen(result):
        astream = AsyncStream(turn, result, on_result)
        return async_generator(lambda *_: astream)()
    if hasattr(kind, "__await__"):
        return _wrap_awaitable(turn, result, on_result)
    for name in BODY_NAMES:
        known = name in getattr(result, "__dict__", ()) or hasattr(kind, name)
        body = getattr(result, name, None) if known else None
        if body is not None and (wrapped := _wrap_body(turn, body, on_result)) is not None:
            setattr(result, name, wrapped)
            return result
    if hasattr(kind, "is_streamed") and result.is_streamed is True and hasattr(result, "response"):
        result.response = SyncStream(turn, iter(result.response), on_result)
        return result
    return None if isinstance(result, io.IOBase) else _wrap_iterator(turn, result, on_result)


def _wrap_body(turn: Run, body: Any, on_result: Finish) -> Any:
    """A response's body: an iterator, or something that makes one."""
    if hasattr(type(body), "__aiter__"):
        return AsyncStream(turn, aiter(body), on_result)
    if hasattr(type(body), "__iter__") and not isinstance(body, str | bytes):
        return SyncStream(turn, iter(body), on_result)
    return None


def _wrap_iterator(turn: Run, result: Any, on_result: Finish) -> Iterator[Any] | Any:
    kind = type(result)
    if hasattr(kind, "__anext__") and isinstance(result, AsyncIterator):
        return AsyncStream(turn, result, on_result)
    if hasattr(kind, "__next__") and isinstance(result, Iterator):
        return SyncStream(turn, result, on_result)
    return None


def _wrap_awaitable(turn: Run, result: Any, on_result: Finish) -> Any:
    watch = getattr(result, "add_done_callback", None)
    if watch is None:
        return awaited(Guard(turn, None, on_result), result)

    def done(future: Any) -> None:
        try:
            result = future.result()
        except BaseException as error:  # noqa: BLE001 - the future keeps it for its owner
            turn.finish(error)
        else:
            on_result(result)
            turn.finish()

    watch(done)
    return result
