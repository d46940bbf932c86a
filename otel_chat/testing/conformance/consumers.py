"""How a reply is consumed: every way in which a caller may treat what a handler gave."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from otel_chat.testing.conformance.probe import Probe

PATIENCE = 80
"""Rounds of the event loop in which what was dropped must have been finalised."""

PAUSE = 0.005
"""Seconds that a later round waits, for worker threads to let go too."""

_NONE: Any = object()


@dataclass(slots=True)
class Seen:
    """What the consumer got.

    Args:
        result: What a handler without a stream returned.
        chunks: What a stream gave.
        error: What came out of the call or of the stream.
    """

    result: object = None
    chunks: list[bytes] = field(default_factory=list)
    error: BaseException | None = None


Reply = list[Any]
"""A box with the one reference to the reply, so that a consumer can really let go of it."""
Consumer = Callable[[Reply, Probe, Seen], None]
AsyncConsumer = Callable[[Reply, Probe, Seen], Coroutine[Any, Any, None]]


def let_go(seen: Seen) -> None:
    """Drops the frames that an exception holds, and all that nobody holds any more."""
    if seen.error is not None:
        seen.error.__traceback__ = seen.error.__context__ = None
    gc.collect()


async def settle(probe: Probe, seen: Seen) -> None:
    """Lets go, and gives the loop and its threads time to finalise what was dropped."""
    let_go(seen)
    for patience in range(PATIENCE):
        await asyncio.sleep(0 if patience < PATIENCE // 2 else PAUSE)
        settled = not probe.marks or (probe.ends and probe.subject.handler_spans())
        if patience >= PATIENCE // 4 and settled:
            return


# -- streams ---------------------------------------------------------------------------------------


def drain(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Takes every chunk."""
    try:
        for chunk in reply.pop():
            seen.chunks.append(chunk)
            probe.outside_again("between chunks")
    except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt is one of the endings
        seen.error = error


def drain_in_threads(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Takes each chunk in a thread of its own, as a web server's thread pool does."""
    stream = iter(reply.pop())
    more = True

    def pull() -> None:
        nonlocal more
        try:
            chunk = next(stream, _NONE)
        except BaseException as error:  # noqa: BLE001 - handed to the consumer
            seen.error, more = error, False
            return
        probe.outside_again("in the pulling thread")
        if chunk is _NONE:
            more = False
        else:
            seen.chunks.append(chunk)

    while more:
        thread = threading.Thread(target=pull)
        thread.start()
        thread.join()


def close_early(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Takes one chunk and closes the stream."""
    stream = reply.pop()
    seen.chunks.append(next(stream))
    probe.outside_again("between chunks")
    stream.close()


def abandon(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Takes one chunk and lets the stream be collected."""
    stream = iter(reply.pop())
    seen.chunks.append(next(stream))
    probe.outside_again("between chunks")
    del stream
    gc.collect()


def forget(reply: Reply, probe: Probe, seen: Seen) -> None:  # noqa: ARG001 - one signature for all
    """Takes nothing and lets the stream be collected."""
    reply.clear()
    gc.collect()


def throw_exit(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Takes one chunk and throws GeneratorExit into the stream."""
    stream = reply.pop()
    seen.chunks.append(next(stream))
    probe.outside_again("between chunks")
    try:
        stream.throw(GeneratorExit())
    except GeneratorExit as error:
        seen.error = error


# -- coroutines and other awaitables ---------------------------------------------------------------


async def wait(reply: Reply, probe: Probe, seen: Seen) -> None:  # noqa: ARG001
    """Awaits the reply."""
    try:
        seen.result = await reply.pop()
    except BaseException as error:  # noqa: BLE001 - handed to the checks
        seen.error = error


async def close_suspended(reply: Reply, probe: Probe, seen: Seen) -> None:  # noqa: ARG001
    """Runs a coroutine to its first suspension and closes it."""
    coroutine = reply.pop()
    coroutine.send(None)
    coroutine.close()


async def _cancelled(work: Coroutine[Any, Any, None], probe: Probe, seen: Seen) -> None:
    task = asyncio.create_task(work)
    await probe.blocked.wait()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError as error:
        seen.error = error


async def _timed_out(work: Coroutine[Any, Any, None], probe: Probe, seen: Seen) -> None:
    async def bounded() -> None:
        try:
            async with asyncio.timeout(None) as limit:
                limits.append(limit)
                await work
        except TimeoutError as error:
            seen.error = error

    limits: list[asyncio.Timeout] = []
    task = asyncio.create_task(bounded())
    await probe.blocked.wait()
    limits[0].reschedule(asyncio.get_running_loop().time())
    await task


async def cancel(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Cancels the task that awaits the reply, while the handler waits."""

    async def work() -> None:
        await reply.pop()

    await _cancelled(work(), probe, seen)


async def time_out(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Lets `asyncio.timeout` expire while the handler waits."""

    async def work() -> None:
        await reply.pop()

    await _timed_out(work(), probe, seen)


# -- async streams ---------------------------------------------------------------------------------


async def adrain(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Takes every chunk."""
    try:
        async for chunk in reply.pop():
            seen.chunks.append(chunk)
            probe.outside_again("between chunks")
    except BaseException as error:  # noqa: BLE001 - handed to the checks
        seen.error = error


async def adrain_in_tasks(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Takes each chunk in a task of its own."""
    stream = aiter(reply.pop())

    async def pull() -> Any:
        chunk = await anext(stream, _NONE)
        probe.outside_again("in the pulling task")
        return chunk

    while (chunk := await asyncio.create_task(pull())) is not _NONE:
        seen.chunks.append(chunk)


async def _first(reply: Reply, probe: Probe, seen: Seen) -> Any:
    stream = aiter(reply.pop())
    seen.chunks.append(await anext(stream))
    probe.outside_again("between chunks")
    return stream


async def aclose_early(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Takes one chunk and closes the stream."""
    await (await _first(reply, probe, seen)).aclose()


async def aclose_elsewhere(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Takes one chunk; another task closes the stream."""
    stream = await _first(reply, probe, seen)

    async def close() -> None:
        await stream.aclose()
        probe.outside_again("in the closing task")

    await asyncio.create_task(close())


async def aabandon(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Takes one chunk and lets the stream be collected."""
    await _first(reply, probe, seen)


async def aforget(reply: Reply, probe: Probe, seen: Seen) -> None:  # noqa: ARG001
    """Takes nothing and lets the stream be collected."""
    reply.clear()


async def athrow_exit(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Takes one chunk and throws GeneratorExit into the stream."""
    stream = await _first(reply, probe, seen)
    try:
        await stream.athrow(GeneratorExit())
    except GeneratorExit as error:
        seen.error = error


async def acancel(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Cancels the consuming task while the handler works on the next chunk."""

    async def work() -> None:
        async for chunk in reply.pop():
            seen.chunks.append(chunk)

    await _cancelled(work(), probe, seen)


async def atime_out(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Lets `asyncio.timeout` expire while the handler works on the next chunk."""

    async def work() -> None:
        async for chunk in reply.pop():
            seen.chunks.append(chunk)

    await _timed_out(work(), probe, seen)


# -- context managers ------------------------------------------------------------------------------


class ConsumerError(Exception):
    """What a consumer raises in the block in which it reads."""


def drain_block(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Enters, takes every chunk, and leaves."""
    try:
        with reply.pop() as stream:
            for chunk in stream:
                seen.chunks.append(chunk)
                probe.outside_again("between chunks")
    except BaseException as error:  # noqa: BLE001 - handed to the checks
        seen.error = error


def leave_block(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Enters, takes one chunk, and leaves."""
    with reply.pop() as stream:
        seen.chunks.append(next(stream))
        probe.outside_again("between chunks")


def fail_in_block(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Enters, takes one chunk, and fails on it."""
    with suppress(ConsumerError), reply.pop() as stream:
        seen.chunks.append(next(stream))
        probe.outside_again("between chunks")
        raise ConsumerError


async def adrain_block(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Enters, takes every chunk, and leaves."""
    try:
        async with reply.pop() as stream:
            async for chunk in stream:
                seen.chunks.append(chunk)
                probe.outside_again("between chunks")
    except BaseException as error:  # noqa: BLE001 - handed to the checks
        seen.error = error


async def aleave_block(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Enters, takes one chunk, and leaves."""
    async with reply.pop() as stream:
        seen.chunks.append(await anext(stream))
        probe.outside_again("between chunks")


async def afail_in_block(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Enters, takes one chunk, and fails on it."""
    with suppress(ConsumerError):
        async with reply.pop() as stream:
            seen.chunks.append(await anext(stream))
            probe.outside_again("between chunks")
            raise ConsumerError


async def acancel_block(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Cancels the task that reads in the block, while the handler works on the next chunk."""

    async def work() -> None:
        async with reply.pop() as stream:
            async for chunk in stream:
                seen.chunks.append(chunk)

    await _cancelled(work(), probe, seen)


# -- StreamingResponse -----------------------------------------------------------------------------

Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]


def _scope(spec_version: str) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "asgi": {"spec_version": spec_version}}


async def _never() -> Any:
    await asyncio.Event().wait()


async def send_response(reply: Reply, probe: Probe, seen: Seen) -> None:
    """Sends the whole response to a client that takes it."""

    async def send(message: Any) -> None:
        probe.outside_again("between chunks")
        if body := message.get("body"):
            seen.chunks.append(body)

    try:
        await reply.pop()(_scope("2.4"), _never, send)
    except BaseException as error:  # noqa: BLE001 - handed to the checks
        seen.error = error


async def client_gone_sending(reply: Reply, probe: Probe, seen: Seen) -> None:
    """The client goes: the server learns it by a disconnect message while it sends a chunk."""
    sending = asyncio.Event()

    async def send(message: Any) -> None:
        if body := message.get("body"):
            probe.outside_again("between chunks")
            seen.chunks.append(body)
            sending.set()
            await _never()

    async def receive() -> Any:
        await sending.wait()
        return {"type": "http.disconnect"}

    await reply.pop()(_scope("2.3"), receive, send)


async def client_gone_waiting(reply: Reply, probe: Probe, seen: Seen) -> None:
    """The client goes while the handler works on the next chunk."""

    async def send(message: Any) -> None:
        if body := message.get("body"):
            seen.chunks.append(body)

    async def receive() -> Any:
        await probe.blocked.wait()
        return {"type": "http.disconnect"}

    await reply.pop()(_scope("2.3"), receive, send)


async def send_fails(reply: Reply, probe: Probe, seen: Seen) -> None:
    """The client goes: the server's send raises OSError (ASGI 2.4)."""
    from starlette.requests import ClientDisconnect

    async def send(message: Any) -> None:
        if body := message.get("body"):
            probe.outside_again("between chunks")
            seen.chunks.append(body)
            raise OSError("client gone")

    try:
        await reply.pop()(_scope("2.4"), _never, send)
    except ClientDisconnect:
        return
