"""Replies that are not there yet: the turn ends when the last chunk was consumed."""

from __future__ import annotations

import inspect
import io
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Generator,
    Mapping,
    MappingView,
    Sequence,
)
from collections.abc import (
    Set as AbstractSet,
)
from contextvars import Token
from functools import partial, wraps
from types import (
    AsyncGeneratorType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
    TracebackType,
)
from typing import Any, ClassVar, Final, Protocol, Self
from weakref import WeakKeyDictionary

from opentelemetry.context import Context

from otel_chat._common.checks import Types
from otel_chat._telemetry.runtime import report_error
from otel_chat._wrap.proxies import has, inner_of, is_proxy, stand_in

Finish = Callable[[object], object]
BODY_NAMES = ("body_iterator", "streaming_content")
"""Where responses keep their stream: Starlette and what builds on it, Django."""

_HEAP_TYPE: Final = 1 << 9
_VALUES: Final = (
    str, bytes, bytearray, int, float, complex, dict, list, tuple, set, frozenset, type,
    BaseException, FunctionType, ModuleType, io.IOBase, Mapping, MappingView, Sequence,
    AbstractSet,
)  # fmt: skip
_DATA_MARKS: Final = (
    "__array__", "__array_interface__", "__dataframe__", "__arrow_c_stream__", "__fields__",
    "__pydantic_fields__", "model_fields", "DESCRIPTOR",
)  # fmt: skip
"""What arrays, tables, images, Pydantic models and protobuf messages have."""


class Run(Protocol):
    """What a function's call drives: a turn or a step inside one."""

    @property
    def is_live(self) -> bool:
        """Whether it is not over."""

    @property
    def follows(self) -> bool:
        """Whether a stream that the function returns is part of it."""

    def now_ns(self) -> int:
        """The time on its own clock."""

    def attach(self) -> Token[Context]:
        """Makes it current."""

    def detach(self, token: Token[Context], /) -> None:
        """Makes what was before it current."""

    def finish(
        self,
        error: BaseException | None = None,
        /,
        *,
        end_ns: int | None = None,
        later: bool = False,
    ) -> None:
        """Ends it; only the first call counts."""

    def chunk(self, piece: object, /) -> None:
        """Notes a piece of a stream."""


class Guard:
    """The turn of a stream: each step runs attached, the end is noted once.

    What a handler gave and all that came of it (its iterators, what it gives on entering) share
    one; when the last of them is let go of, the turn is over.

    Args:
        turn: Started, not attached.
        on_result: Told of a whole result, such as a generator's return value.
    """

    def __init__(self, turn: Run, on_result: Finish) -> None:
        self.turn = turn
        self.on_result = on_result
        self.open_blocks = 0
        self._begun = self._used = False
        self._maybe: object = None
        self._returned_ns: int | None = None

    def may_be_whole(self, value: object) -> None:
        """Notes a result that may be a stream: if nobody takes it for one, the turn ends now."""
        self._maybe = value
        self._returned_ns = self.turn.now_ns()

    def step(self, last: type[BaseException] | None = None, *, ends: bool = True) -> _Step:
        """A step of the stream's; what it raises ends the turn.

        Args:
            last: What says that there are no more chunks; None for a step that gives none.
            ends: Whether the turn is over then.
        """
        if last is not None:
            self._begun = True
        return _Step(self, last, ends)

    def beside(self) -> _Step:
        """Something that is asked of it beside its chunks; it may fail without ending it."""
        self._used = True
        return _Step(self, None, None)

    def take_as_read(self) -> None:
        """Notes that there may be nothing to read: left in good order it was well."""
        self._used = True

    def pull(self, method: Callable[..., Any], *args: Any, ends: bool = True) -> Any:
        """The next chunk of an iterator."""
        with self.step(StopIteration, ends=ends):
            chunk = method(*args)
        return self._noted(chunk)

    async def apull(
        self, method: Callable[..., Awaitable[Any]], *args: Any, ends: bool = True
    ) -> Any:
        """The next chunk of an async iterator."""
        with self.step(StopAsyncIteration, ends=ends):
            chunk = await method(*args)
        return self._noted(chunk)

    def _noted(self, chunk: Any) -> Any:
        if self.turn.is_live:
            self.turn.chunk(chunk)
        return chunk

    def asked_beside(self) -> None:
        """Something was asked of it: if it is no stream, it was still worked on until now."""
        if self._returned_ns is not None:
            self._returned_ns = self.turn.now_ns()

    def exhausted(self, end: BaseException, *, ends: bool) -> None:
        """There are no more chunks."""
        self._begun, self._used = False, True
        if ends:
            if isinstance(end, StopIteration):
                self.on_result(end.value)
            self.turn.finish()

    def leave(self, error: BaseException | None = None, *, later: bool = False) -> None:
        """Ends the turn of a stream that is closed, left or let go of.

        It is cancelled where chunks were still to come, or where nothing was asked of it.
        """
        if later and not self._begun and self._returned_ns is not None and not self.open_blocks:
            take = getattr(self.turn, "result", None)
            if take is not None:
                take(self._maybe)
            self.turn.finish(end_ns=self._returned_ns, later=True)
            return
        whole = self._used and not self._begun
        self.turn.finish(error or (None if whole else GeneratorExit()), later=later)

    def __del__(self) -> None:
        # An abandoned stream: no lock may be taken here, so all work goes to the queue
        if self.turn.is_live:
            self.leave(later=True)


class _Step:
    """A step of a stream: attached, and what ends it is noted."""

    __slots__ = ("_ends", "_guard", "_last", "_token")

    def __init__(
        self,
        guard: Guard,
        last: type[BaseException] | None,
        ends: bool | None,  # noqa: FBT001
    ) -> None:
        self._guard = guard
        self._last = last
        self._ends = ends

    def __enter__(self) -> None:
        self._token = self._guard.turn.attach()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        guard = self._guard
        guard.turn.detach(self._token)
        if self._ends is None:
            guard.asked_beside()
            return
        if error is None:
            return
        if self._last is not None and isinstance(error, self._last):
            guard.exhausted(error, ends=self._ends)
        else:
            guard.turn.finish(error)


class SyncStream:
    """An iterator or generator whose steps belong to a turn, with all that a generator has.

    Args:
        guard: Of the turn.
        inner: What gives the chunks; `send`, `throw` and `close` pass through where it has them.
    """

    def __init__(self, guard: Guard, inner: Any) -> None:
        self._guard = guard
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self._guard.pull(self._inner.__next__)

    def send(self, value: object) -> Any:
        """Passes a value in."""
        return self._guard.pull(self._inner.send, value)

    def throw(self, *error: Any) -> Any:
        """Raises an exception inside."""
        throw = getattr(self._inner, "throw", None)
        if throw is not None:
            return self._guard.pull(throw, *error)
        self._guard.turn.finish(error[0] if isinstance(error[0], BaseException) else error[1])
        raise error[0]

    def close(self) -> None:
        """Ends the stream early: cancelled."""
        _closed(self._guard, getattr(self._inner, "close", None))


class AsyncStream:
    """An async iterator or generator whose steps belong to a turn; see `SyncStream`."""

    def __init__(self, guard: Guard, inner: Any) -> None:
        self._guard = guard
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return await self._guard.apull(self._inner.__anext__)

    async def asend(self, value: object) -> Any:
        """Passes a value in."""
        return await self._guard.apull(self._inner.asend, value)

    async def athrow(self, *error: Any) -> Any:
        """Raises an exception inside."""
        return await self._guard.apull(self._inner.athrow, *error)

    async def aclose(self) -> None:
        """Ends the stream early: cancelled."""
        close = getattr(self._inner, "aclose", None)
        await _aclosed(self._guard, None if close is None else close())


def _closed(guard: Guard, close: Callable[..., Any] | None, *args: Any) -> Any:
    """Closes a stream; a `close` that is to be awaited is awaited by its caller."""
    result = None
    if close is not None:
        with guard.step():
            result = close(*args)
        if has(type(result), "__await__"):
            return _aclosed(guard, result)
    guard.leave()
    return result


async def _aclosed(guard: Guard, closing: Awaitable[Any] | None) -> Any:
    result = None
    if closing is not None:
        with guard.step():
            result = await closing
    guard.leave()
    return result


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
    with guard.step():
        result = await awaitable
    return _taken(guard, result)


def take_up(turn: Run, result: Any, on_result: Finish) -> Any:
    """What the handler returned, for its caller: a stream is followed, else the turn ends here.

    Args:
        turn: The turn, detached.
        result: The handler's result.
        on_result: Told of a result that is whole.
    """
    if type(result) in _PLAIN or not (turn.follows and turn.is_live):
        on_result(result)
        turn.finish()
        return result
    return _taken(Guard(turn, on_result), result)


def _taken(guard: Guard, result: Any) -> Any:
    turn = guard.turn
    if turn.follows and turn.is_live:
        try:
            followed = _followed(guard, result)
        except Exception as error:  # noqa: BLE001 - the caller gets what the handler gave
            turn.finish()
            report_error("streaming", error)
            return result
        if followed is not None:
            return followed
    guard.on_result(result)
    turn.finish()
    return result


_PLAIN: Final = Types((str, bytes, int, float, bool, dict, list, tuple, set, type(None)))
"""The types of nearly every result: no stream, found out without looking."""


def _followed(guard: Guard, result: Any) -> Any:
    """The stream for its caller; None where the result is none."""
    kind = type(result)
    if kind in _PLAIN or _is_silent(kind, result):
        return None
    if any(kind is native for native in _NATIVE):
        return _native(guard, result)
    if has(kind, "add_done_callback", "result") and not _is_iterator(kind):
        return _watched(guard, result)
    if not has(kind, "__await__"):
        body = _body_of(guard, result)
        if body is not None or _is_whole(kind):
            return body
        if not _is_iterator(kind):
            if not (is_proxy(result) or _may_stream(kind, result)):
                return None
            guard.may_be_whole(result)
    return stand_in(result, _Following(guard))


_NATIVE: Final = (CoroutineType, GeneratorType, AsyncGeneratorType)


def _native(guard: Guard, inner: Any) -> Any:
    """One of Python's own, which stays one: some ask for no less."""
    if type(inner) is CoroutineType or inspect.isawaitable(inner):
        return awaited(guard, inner)
    if type(inner) is GeneratorType:
        stream = SyncStream(guard, inner)
        return generator(lambda *_: stream)()
    astream = AsyncStream(guard, inner)
    return async_generator(lambda *_: astream)()


_silent: WeakKeyDictionary[type, bool] = WeakKeyDictionary()
"""Whether objects of a class give nothing later: most results are of few classes."""
_STREAMING: Final = (
    "__await__",
    "__iter__",
    "__aiter__",
    "__enter__",
    "__aenter__",
    "add_done_callback",
)


def _is_silent(kind: type, result: object) -> bool:
    try:
        known = _silent.get(kind)
        if known is None:
            streams = any(has(kind, name) for name in _STREAMING)
            whole = not has(kind, "__await__") and _is_whole(kind)
            response = any(has(kind, name) for name in (*BODY_NAMES, "is_streamed"))
            known = _silent[kind] = not response and (whole or not streams)
    except Exception:  # noqa: BLE001 - a metaclass may not let its classes be compared
        return False
    return known and not any(name in BODY_NAMES for name in _own_fields(result))


def _is_iterator(kind: type) -> bool:
    return has(kind, "__iter__", "__next__") or has(kind, "__aiter__", "__anext__")


def _is_value(kind: type) -> bool:
    try:
        return issubclass(kind, _VALUES)
    except Exception:  # noqa: BLE001 - a metaclass may not let its classes be compared
        return False


def _is_mock(kind: type) -> bool:
    """A mock has every method, and ends nothing."""
    return kind.__module__ == "unittest.mock"


def _may_stream(kind: type, result: object) -> bool:
    """Whether it may be a stream that is begun by iterating over it or by entering it.

    What holds its data already is none: containers, tables, models, responses.
    """
    if not (
        has(kind, "__iter__")
        or has(kind, "__aiter__")
        or has(kind, "__enter__", "__exit__")
        or has(kind, "__aenter__", "__aexit__")
    ):
        return False
    own = _own_fields(result)

    def known(name: str) -> bool:
        return name in own or has(kind, name)

    is_response = known("status_code") or (known("status") and known("headers"))
    return not is_response


def _is_whole(kind: type) -> bool:
    """Whether objects of a class hold their data, or are of a kind that C code looks into."""
    if _is_mock(kind) or _is_value(kind):
        return True
    if _is_iterator(kind):
        return False
    return not kind.__flags__ & _HEAP_TYPE or any(has(kind, m) for m in _DATA_MARKS)


def _own_fields(result: object) -> Mapping[str, object]:
    try:
        found = object.__getattribute__(result, "__dict__")
    except AttributeError:
        return {}
    return found if type(found) is dict else {}


def _body_of(guard: Guard, result: Any) -> Any:
    """A response whose body is a stream, which it has from now on through us."""
    kind, own = type(result), _own_fields(result)
    for name in BODY_NAMES:
        body = getattr(result, name, None) if name in own or has(kind, name) else None
        if body is not None and (stream := _body_stream(guard, body)) is not None:
            setattr(result, name, stream)
            return result
    if has(kind, "is_streamed") and result.is_streamed is True and hasattr(result, "response"):
        result.response = SyncStream(guard, iter(result.response))
        return result
    return None


def _body_stream(guard: Guard, body: Any) -> SyncStream | AsyncStream | None:
    """A response's body: an iterator, or something that makes one."""
    if has(type(body), "__aiter__"):
        return AsyncStream(guard, aiter(body))
    if has(type(body), "__iter__") and not isinstance(body, str | bytes):
        return SyncStream(guard, iter(body))
    return None


def _watched(guard: Guard, future: Any) -> Any:
    """A future stays what it is, and is asked when it is done."""

    def done(future: Any) -> None:
        try:
            if getattr(future, "cancelled", bool)():  # an Exception of its own, of executors' ones
                guard.turn.finish(GeneratorExit())
                return
            result = future.result()
        except BaseException as error:  # noqa: BLE001 - the future keeps it for its owner
            guard.turn.finish(error)
        else:
            guard.on_result(result)
            guard.turn.finish()

    future.add_done_callback(done)
    return future


class _Following:
    """Sees what is done with an object that gives chunks, in whichever way it gives them.

    Args:
        guard: Of the turn.
        ends: Whether the turn is over with the last chunk.
    """

    __slots__ = ("_ends", "_guard")

    def __init__(self, guard: Guard, *, ends: bool = True) -> None:
        self._guard = guard
        self._ends = ends

    def called(
        self, proxy: Any, name: str, method: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        """Follows the special methods by which chunks come; the others are only called."""
        special = self.SPECIAL.get(name)
        if special is None:
            return method(*args, **kwargs)
        return special(self, proxy, method, *args, **kwargs)

    def read(self, proxy: Any, name: str, value: Any) -> Any:
        """Follows the methods of a generator, of others what they give, and iterators."""
        inner = inner_of(proxy)
        if value is inner:
            return proxy
        if not self._guard.turn.is_live:
            return value
        plain = self.METHODS.get(name)
        if plain is not None and callable(value):
            return partial(plain, self, proxy, value)
        if type(value) in (MethodType, FunctionType) and getattr(value, "__self__", 0) is inner:
            return self._method(proxy, value)
        return self._beside(proxy, value)

    # -- chunks --------------------------------------------------------------------------------

    def _iterate(self, proxy: Any, method: Callable[..., Any]) -> Any:
        with self._guard.step():
            iterator = method()
        return self._derived(proxy, iterator, ends=self._ends)

    def _next(self, proxy: Any, method: Callable[..., Any], *args: Any) -> Any:
        if has(type(inner_of(proxy)), "__await__"):
            return self._advance(method, *args)
        return self._guard.pull(method, *args, ends=self._ends)

    def _anext(self, proxy: Any, method: Callable[..., Any], *args: Any) -> Any:  # noqa: ARG002
        return self._guard.apull(method, *args, ends=self._ends)

    def _close(self, proxy: Any, method: Callable[..., Any], *args: Any) -> Any:  # noqa: ARG002
        return _closed(self._guard, method, *args)

    def _derived(self, proxy: Any, value: Any, *, ends: bool) -> Any:
        """What gives the chunks of the same stream."""
        if value is inner_of(proxy):
            return proxy
        # No generator of ours around theirs: let go of, it would close what the object still holds
        return self._standing(value, ends=ends) if _is_iterator(type(value)) else value

    def _standing(self, value: Any, *, ends: bool) -> Any:
        try:
            return stand_in(value, _Following(self._guard, ends=ends))
        except Exception as error:  # noqa: BLE001 - the caller gets what the object gave
            report_error("streaming", error)
            return value

    # -- coroutines ----------------------------------------------------------------------------

    def _await(self, proxy: Any, method: Callable[..., Any]) -> Any:  # noqa: ARG002
        return awaited(self._guard, inner_of(proxy)).__await__()

    def _advance(self, method: Callable[..., Any], *args: Any) -> Any:
        """A step of what is awaited by hand, as an event loop does."""
        token = self._guard.turn.attach()
        try:
            return method(*args)
        except StopIteration as end:
            raise StopIteration(_taken(self._guard, end.value)) from None
        except BaseException as error:
            self._guard.turn.finish(error)
            raise
        finally:
            self._guard.turn.detach(token)

    # -- blocks --------------------------------------------------------------------------------

    def _enter(self, proxy: Any, method: Callable[..., Any]) -> Any:
        with self._guard.step():
            value = method()
        return self._entered(proxy, value)

    async def _aenter(self, proxy: Any, method: Callable[..., Any]) -> Any:
        with self._guard.step():
            value = await method()
        return self._entered(proxy, value)

    def _entered(self, proxy: Any, value: Any) -> Any:
        guard, kind = self._guard, type(value)
        guard.open_blocks += 1
        if kind in _PLAIN or _is_whole(kind):
            guard.take_as_read()
            guard.on_result(value)
            return value
        if not (has(kind, "__iter__") or has(kind, "__aiter__")):
            guard.take_as_read()
        return proxy if value is inner_of(proxy) else self._standing(value, ends=True)

    def _exit(self, proxy: Any, method: Callable[..., Any], *args: Any) -> Any:  # noqa: ARG002
        with self._guard.step():
            result = method(*args)
        return self._left(args, result)

    async def _aexit(self, proxy: Any, method: Callable[..., Any], *args: Any) -> Any:  # noqa: ARG002
        with self._guard.step():
            result = await method(*args)
        return self._left(args, result)

    def _left(self, args: Any, result: Any) -> Any:
        self._guard.open_blocks -= 1
        self._guard.leave(next((a for a in args if isinstance(a, BaseException)), None))
        return result

    # -- what else an object has ---------------------------------------------------------------

    def _method(self, proxy: Any, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._guard.beside():
                result = method(*args, **kwargs)
            if type(result) is CoroutineType:
                return self._awaited_beside(proxy, result)
            return self._beside(proxy, result)

        call.__self__ = proxy  # type: ignore[attr-defined] # a stand-in for this one asks
        return call

    async def _awaited_beside(self, proxy: Any, coroutine: Awaitable[Any]) -> Any:
        with self._guard.beside():
            result = await coroutine
        return self._beside(proxy, result)

    def _beside(self, proxy: Any, value: Any) -> Any:
        """An iterator beside the stream's own, such as its texts; a block outlives its end."""
        if _is_whole(type(value)):
            return value
        return self._derived(proxy, value, ends=not self._guard.open_blocks)

    SPECIAL: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "__iter__": _iterate,
        "__aiter__": _iterate,
        "__next__": _next,
        "__anext__": _anext,
        "__await__": _await,
        "__enter__": _enter,
        "__exit__": _exit,
        "__aenter__": _aenter,
        "__aexit__": _aexit,
    }
    """What is done with its special methods by which chunks come."""

    METHODS: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "send": _next,
        "throw": _next,
        "close": _close,
        "asend": _anext,
        "athrow": _anext,
        "aclose": _close,
    }
    """And with those of a generator."""
