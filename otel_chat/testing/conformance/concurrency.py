"""Handlers at once and inside one another: spans must neither mix nor lose their parents."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from otel_chat.testing.conformance.checks import listening
from otel_chat.testing.conformance.model import Case, Failure, Subject

MANY = 8
GROUP = "concurrency and nesting"
Scenario = Callable[[Subject, list[int]], object]


def _note(active: list[int]) -> None:
    active.append(trace.get_current_span().get_span_context().span_id)


def _parent(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def _expect(subject: Subject, active: list[int], calls: int) -> Iterator[Failure]:
    spans = subject.handler_spans()
    if len(spans) != calls:
        yield Failure("one span", f"{len(spans)} spans for {calls} calls")
    own = {s.context.span_id for s in spans}
    if not set(active) <= own or len(set(active)) != calls:
        yield Failure("active inside", "the calls did not each run under a span of their own")
    if any(s.status.status_code is StatusCode.ERROR for s in spans):
        yield Failure("status", "ERROR for a handler that returned")
    steps = Counter(_parent(s) for s in subject.probe_spans())
    if not set(steps) <= own:
        yield Failure("active inside", "a span opened inside is not a child of its handler's")


def _case(name: str, scenario: Scenario, *, calls: int = MANY, chain: bool = False) -> Case:
    def check(subject: Subject) -> Iterator[Failure]:
        active: list[int] = []
        with listening() as heard:
            scenario(subject, active)
        yield from _expect(subject, active, calls)
        roots = [s for s in subject.handler_spans() if s.parent is None]
        if len(roots) != (1 if chain else calls):
            yield Failure("parents", f"{len(roots)} root spans for {calls} calls")
        if chain and not _is_chain(subject.handler_spans()):
            yield Failure("parents", "a call made inside is not a child of the call around it")
        if heard:
            yield Failure("nothing logged", heard[0])

    return Case(GROUP, name, check)


def _is_chain(spans: list[ReadableSpan]) -> bool:
    parents = {s.context.span_id: _parent(s) for s in spans}
    return len(set(parents.values())) == len(parents) and all(
        parent is None or parent in parents for parent in parents.values()
    )


def _coroutine(subject: Subject, active: list[int]) -> Callable[[], Coroutine[Any, Any, None]]:
    async def handler() -> None:
        for _ in range(3):
            _note(active)
            with subject.tracer.start_as_current_span("step"):
                await asyncio.sleep(0)

    decorated: Callable[[], Coroutine[Any, Any, None]] = subject.decorate(handler)
    return decorated


def _gather(subject: Subject, active: list[int]) -> None:
    handler = _coroutine(subject, active)

    async def main() -> None:
        await asyncio.gather(*(handler() for _ in range(MANY)))

    asyncio.run(main())


def _task_group(subject: Subject, active: list[int]) -> None:
    handler = _coroutine(subject, active)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(MANY):
                group.create_task(handler())

    asyncio.run(main())


def _sync_handler(subject: Subject, active: list[int], meet: threading.Barrier) -> Any:
    def handler() -> None:
        meet.wait(10)
        _note(active)
        with subject.tracer.start_as_current_span("step"):
            meet.wait(10)

    return subject.decorate(handler)


def _threads(subject: Subject, active: list[int]) -> None:
    handler = _sync_handler(subject, active, threading.Barrier(MANY))
    threads = [threading.Thread(target=handler) for _ in range(MANY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _executor(subject: Subject, active: list[int]) -> None:
    handler = _sync_handler(subject, active, threading.Barrier(MANY))
    with ThreadPoolExecutor(MANY) as pool:
        for done in [pool.submit(handler) for _ in range(MANY)]:
            done.result()


def _to_thread(subject: Subject, active: list[int]) -> None:
    handler = _sync_handler(subject, active, threading.Barrier(2))

    async def main() -> None:
        await asyncio.gather(*(asyncio.to_thread(handler) for _ in range(2)))

    asyncio.run(main())


def _work_in_executor(subject: Subject, active: list[int]) -> None:
    def work() -> None:
        _note(active)
        with subject.tracer.start_as_current_span("step"):
            pass

    def handler() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(contextvars.copy_context().run, work).result()

    decorated = subject.decorate(handler)
    for _ in range(MANY):
        decorated()


def _interleaved(subject: Subject, active: list[int]) -> None:
    def handler() -> Iterator[int]:
        for chunk in range(3):
            _note(active)
            with subject.tracer.start_as_current_span("step"):
                pass
            yield chunk

    decorated = subject.decorate(handler)
    for _ in zip(*(decorated() for _ in range(MANY)), strict=True):
        pass


def _interleaved_async(subject: Subject, active: list[int]) -> None:
    async def handler() -> AsyncIterator[int]:
        for chunk in range(3):
            _note(active)
            with subject.tracer.start_as_current_span("step"):
                await asyncio.sleep(0)
            yield chunk

    decorated = subject.decorate(handler)

    async def main() -> None:
        streams = [decorated() for _ in range(MANY)]
        for _ in range(4):
            for stream in streams:
                await anext(stream, None)

    asyncio.run(main())


def _nested(subject: Subject, active: list[int]) -> None:
    inner = subject.decorate(_noting(active))

    def outer() -> None:
        _note(active)
        inner()

    subject.decorate(outer)()


def _noting(active: list[int]) -> Callable[[], None]:
    def inner() -> None:
        _note(active)

    return inner


def _nested_async(subject: Subject, active: list[int]) -> None:
    async def inner() -> None:
        await asyncio.sleep(0)
        _note(active)

    decorated = subject.decorate(inner)

    async def outer() -> None:
        _note(active)
        await asyncio.create_task(decorated())

    asyncio.run(subject.decorate(outer)())


def _nested_streams(subject: Subject, active: list[int]) -> None:
    def inner() -> Iterator[int]:
        _note(active)
        yield from range(3)

    decorated = subject.decorate(inner)

    def outer() -> Iterator[int]:
        _note(active)
        yield from decorated()

    list(subject.decorate(outer)())


def _nested_async_streams(subject: Subject, active: list[int]) -> None:
    async def inner() -> AsyncIterator[int]:
        for chunk in range(3):
            _note(active)
            yield chunk

    decorated = subject.decorate(inner)

    async def outer() -> AsyncIterator[int]:
        _note(active)
        async for chunk in decorated():
            yield chunk

    async def main() -> None:
        async for _ in subject.decorate(outer)():
            pass

    asyncio.run(main())


def _recursive(subject: Subject, active: list[int]) -> None:
    def handler(depth: int) -> None:
        _note(active)
        if depth > 1:
            decorated(depth - 1)

    decorated = subject.decorate(handler)
    decorated(3)


def _recursive_async(subject: Subject, active: list[int]) -> None:
    async def handler(depth: int) -> None:
        _note(active)
        if depth > 1:
            await decorated(depth - 1)

    decorated = subject.decorate(handler)
    asyncio.run(decorated(3))


def _inside_span(subject: Subject) -> Iterator[Failure]:
    active: list[int] = []
    handler = subject.decorate(_noting(active))
    with subject.tracer.start_as_current_span("request") as request:
        handler()
        if trace.get_current_span() is not request:
            yield Failure("no leak", "the request's span is not the current one after the call")
    parents = [_parent(s) for s in subject.handler_spans()]
    if parents != [request.get_span_context().span_id]:
        yield Failure("parents", "the handler's span is not a child of the request's")


def concurrency_cases() -> tuple[Case, ...]:
    """The cases of the group `concurrency and nesting`."""
    return (
        _case("gather", _gather),
        _case("TaskGroup", _task_group),
        _case("threads", _threads),
        _case("executor", _executor),
        _case("to_thread", _to_thread, calls=2),
        _case("work in an executor, context copied", _work_in_executor),
        _case("interleaved streams", _interleaved),
        _case("interleaved async streams", _interleaved_async),
        _case("nested", _nested, calls=2, chain=True),
        _case("nested in a task", _nested_async, calls=2, chain=True),
        _case("nested streams", _nested_streams, calls=2, chain=True),
        _case("nested async streams", _nested_async_streams, calls=2, chain=True),
        _case("recursive", _recursive, calls=3, chain=True),
        _case("recursive coroutine", _recursive_async, calls=3, chain=True),
        Case(GROUP, "inside a request's span", _inside_span),
    )
