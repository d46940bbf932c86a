"""Every shape with every ending."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from otel_chat.testing.conformance import consumers as c
from otel_chat.testing.conformance.chat import turn_failures
from otel_chat.testing.conformance.checks import evaluate, listening
from otel_chat.testing.conformance.model import Case, Failure, Subject
from otel_chat.testing.conformance.probe import Ending, HandlerError, Probe
from otel_chat.testing.conformance.shapes import Kind, Shape, shapes

DEADLINE = 20.0
"""Seconds after which a case whose loop still runs is given up."""

RETURN = Ending("return")
RAISE = Ending("raise", "error", (HandlerError,), HandlerError)
MID_STREAM = Ending("raise mid-stream", "error", (HandlerError,), HandlerError, at=1)
INTERRUPT = Ending("KeyboardInterrupt", "any", (KeyboardInterrupt,), KeyboardInterrupt)
INTERRUPT_MID = Ending(
    "KeyboardInterrupt mid-stream", "any", (KeyboardInterrupt,), KeyboardInterrupt, at=1
)
CANCEL = Ending("cancel", "cancelled", (asyncio.CancelledError,), blocks=True, at=1)
TIMEOUT = Ending("timeout", "cancelled", (asyncio.CancelledError,), blocks=True, at=1)
NEVER = Ending("never started", "any")
WHOLE = {"return", "each chunk in another thread", "each chunk in another task"}


def _dropped(name: str, *, collected: bool = False) -> Ending:
    sees = (GeneratorExit, asyncio.CancelledError)
    return Ending(name, "cancelled", sees, collected=collected)


LEFT = _dropped("left early")
FAILED = Ending("consumer fails", "any", (GeneratorExit, asyncio.CancelledError))
ITERATED: list[tuple[Ending, c.Consumer]] = [
    (RETURN, c.drain),
    (RAISE, c.drain),
    (MID_STREAM, c.drain),
    (INTERRUPT_MID, c.drain),
    (_dropped("abandoned", collected=True), c.abandon),
    (NEVER, c.forget),
    (Ending("each chunk in another thread"), c.drain_in_threads),
]
AITERATED: list[tuple[Ending, c.AsyncConsumer]] = [
    (RETURN, c.adrain),
    (RAISE, c.adrain),
    (MID_STREAM, c.adrain),
    (INTERRUPT_MID, c.adrain),
    (CANCEL, c.acancel),
    (TIMEOUT, c.atime_out),
    (_dropped("abandoned", collected=True), c.aabandon),
    (NEVER, c.aforget),
    (Ending("each chunk in another task"), c.adrain_in_tasks),
]
SYNC: dict[Kind, list[tuple[Ending, c.Consumer]]] = {
    Kind.STREAM: [
        (RETURN, c.drain),
        (RAISE, c.drain),
        (MID_STREAM, c.drain),
        (INTERRUPT_MID, c.drain),
        (_dropped("closed early"), c.close_early),
        (_dropped("abandoned", collected=True), c.abandon),
        (_dropped("GeneratorExit"), c.throw_exit),
        (NEVER, c.forget),
        (Ending("each chunk in another thread"), c.drain_in_threads),
    ],
    Kind.OBJECT: [
        *ITERATED,
        (_dropped("closed early"), c.close_early),
    ],
    Kind.ITERABLE: ITERATED,
    Kind.BLOCK: [
        (RETURN, c.drain_block),
        (RAISE, c.drain_block),
        (MID_STREAM, c.drain_block),
        (INTERRUPT_MID, c.drain_block),
        (LEFT, c.leave_block),
        (FAILED, c.fail_in_block),
        (NEVER, c.forget),
    ],
}
RESPONSE: list[tuple[Ending, c.AsyncConsumer]] = [
    (RETURN, c.send_response),
    (MID_STREAM, c.send_response),
    (_dropped("client gone", collected=True), c.client_gone_sending),
    (_dropped("send fails", collected=True), c.send_fails),
]
ASYNC: dict[Kind, list[tuple[Ending, c.AsyncConsumer]]] = {
    Kind.AWAITABLE: [
        (RETURN, c.wait),
        (RAISE, c.wait),
        (INTERRUPT, c.wait),
        (CANCEL, c.cancel),
        (TIMEOUT, c.time_out),
        (_dropped("closed while suspended"), c.close_suspended),
    ],
    Kind.ASYNC_STREAM: [
        (RETURN, c.adrain),
        (RAISE, c.adrain),
        (MID_STREAM, c.adrain),
        (INTERRUPT_MID, c.adrain),
        (CANCEL, c.acancel),
        (TIMEOUT, c.atime_out),
        (_dropped("closed early"), c.aclose_early),
        (_dropped("closed by another task"), c.aclose_elsewhere),
        (_dropped("abandoned", collected=True), c.aabandon),
        (_dropped("GeneratorExit"), c.athrow_exit),
        (NEVER, c.aforget),
        (Ending("each chunk in another task"), c.adrain_in_tasks),
    ],
    Kind.RESPONSE: [
        *RESPONSE,
        (
            Ending("client gone while waiting", "cancelled", CANCEL.sees, blocks=True, at=1),
            c.client_gone_waiting,
        ),
    ],
    Kind.BLOCKING_RESPONSE: RESPONSE,
    Kind.ASYNC_OBJECT: [
        *AITERATED,
        (_dropped("closed early"), c.aclose_early),
        (_dropped("closed by another task"), c.aclose_elsewhere),
    ],
    Kind.ASYNC_ITERABLE: AITERATED,
    Kind.ASYNC_BLOCK: [
        (RETURN, c.adrain_block),
        (RAISE, c.adrain_block),
        (MID_STREAM, c.adrain_block),
        (INTERRUPT_MID, c.adrain_block),
        (CANCEL, c.acancel_block),
        (LEFT, c.aleave_block),
        (FAILED, c.afail_in_block),
        (NEVER, c.aforget),
    ],
}
VALUE_ENDINGS = (RETURN, RAISE, INTERRUPT)


def _conclude(shape: Shape, probe: Probe, seen: c.Seen, heard: list[str]) -> Iterator[Failure]:
    probe.outside_again("after the end")
    yield from evaluate(probe, seen, heard, whole=probe.ending.name in WHOLE)
    if probe.subject.observer is not None:
        streamed = shape.kind not in (Kind.VALUE, Kind.AWAITABLE)
        yield from turn_failures(probe, streamed=streamed)


def _value_case(shape: Shape, ending: Ending) -> Case:
    def check(subject: Subject) -> Iterator[Failure]:
        probe, seen = Probe(subject, ending), c.Seen()
        with listening() as heard:
            try:
                seen.result = shape.build(subject, probe)()
            except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt is an ending
                seen.error = error
            c.let_go(seen)
        yield from _conclude(shape, probe, seen, heard)

    return Case(shape.group, f"{shape.name}, {ending.name}", check)


def _sync_case(shape: Shape, ending: Ending, consume: c.Consumer) -> Case:
    def check(subject: Subject) -> Iterator[Failure]:
        probe, seen = Probe(subject, ending), c.Seen()
        with listening() as heard:
            call = shape.build(subject, probe)
            reply = [asyncio.run(call()) if shape.awaited else call()]
            probe.outside_again("after the call")
            consume(reply, probe, seen)
            c.let_go(seen)
        yield from _conclude(shape, probe, seen, heard)

    return Case(shape.group, f"{shape.name}, {ending.name}", check)


def _async_case(shape: Shape, ending: Ending, consume: c.AsyncConsumer) -> Case:
    async def scenario(call: Callable[[], Any], probe: Probe, seen: c.Seen) -> None:
        reply = [await call() if shape.awaited else call()]
        probe.outside_again("after the call")
        await consume(reply, probe, seen)
        await c.settle(probe, seen)

    def check(subject: Subject) -> Iterator[Failure]:
        probe, seen = Probe(subject, ending), c.Seen()
        late: list[Failure] = []

        async def bounded() -> None:
            call = shape.build(subject, probe)
            with suppress(asyncio.CancelledError):
                async with asyncio.timeout(DEADLINE):
                    await scenario(call, probe, seen)
            if probe.ends and not subject.handler_spans():
                late.append(Failure("one span", "none before the event loop ended"))

        with listening() as heard:
            try:
                asyncio.run(bounded())
            except KeyboardInterrupt as error:  # from a task that the decorator made
                seen.error = error
            c.let_go(seen)
        yield from late or _conclude(shape, probe, seen, heard)

    return Case(shape.group, f"{shape.name}, {ending.name}", check)


def _of_shape(shape: Shape) -> Iterator[Case]:
    if shape.kind is Kind.VALUE:
        yield from (_value_case(shape, ending) for ending in VALUE_ENDINGS)
    for ending, consume in SYNC.get(shape.kind, ()):
        yield _sync_case(shape, ending, consume)
    for async_ending, async_consume in ASYNC.get(shape.kind, ()):
        if shape.native or async_consume is not c.close_suspended:
            yield _async_case(shape, async_ending, async_consume)


def matrix() -> tuple[Case, ...]:
    """The cases of every shape with every ending that it can have."""
    return tuple(case for shape in shapes() for case in _of_shape(shape))
