"""The handler under test: it does as its ending says and writes down what it saw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from opentelemetry import context, trace

from otel_chat.testing.conformance.model import Subject

WORK_NS = 2_000_000
"""How long a step works, in nanoseconds on the subject's clock: well above the clocks' jitter."""


class HandlerError(Exception):
    """What a handler under test raises."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A way in which a handler ends.

    Args:
        name: As the report calls it.
        expected: The handler's fate: `ok`, `error`, `cancelled`, or `any` where no status is asked.
        sees: The exceptions one of which ends the handler's body; none for a body that returns.
        raises: What the body raises, if anything.
        at: The chunk before which a stream raises or blocks, from 0.
        blocks: Whether the body waits there until it is cancelled.
        collected: Whether the garbage collector ends the body, whenever it likes.
    """

    name: str
    expected: str = "ok"
    sees: tuple[type[BaseException], ...] = ()
    raises: type[BaseException] | None = None
    at: int = 0
    blocks: bool = False
    collected: bool = False


class Probe:
    """A handler's body in four kinds, and what it and its consumer saw.

    Args:
        subject: The decorator under test.
        ending: How the body ends.
    """

    def __init__(self, subject: Subject, ending: Ending) -> None:
        self.subject = subject
        self.ending = ending
        self.reply = f"reply {id(self)}"
        self.chunks = (b"one", b"two", b"three")
        self.error = ending.raises("as the case asks") if ending.raises else None
        self.blocked = asyncio.Event()
        self.outside = context.get_current()
        self.active: list[int] = []
        self.children: list[int] = []
        self.leaks: list[str] = []
        self.marks: list[int] = []
        self.ends: list[type[BaseException] | None] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self.ending.collected:
            self.marks.append(self.subject.now())
        self.ends.append(kind)

    def step(self) -> None:
        """A piece of the handler's work: notes the span in force, opens a child, takes its time."""
        self.marks.append(start := self.subject.now())
        self.active.append(trace.get_current_span().get_span_context().span_id)
        with self.subject.tracer.start_as_current_span("step") as child:
            self.children.append(child.get_span_context().span_id)
            while self.subject.now() < start + WORK_NS:
                pass
        self.marks.append(self.subject.now())

    def outside_again(self, where: str) -> None:
        """Notes a leak where the consumer's context is not what it was before the call."""
        if dict(context.get_current()) != dict(self.outside):
            span = trace.get_current_span()
            what = "the handler's span" if span.get_span_context().is_valid else "context entries"
            self.leaks.append(f"{what} left in the consumer's context {where}")

    def value(self) -> str:
        """The body of a plain handler."""
        with self:
            self.step()
            if self.error:
                raise self.error
            return self.reply

    async def coroutine(self) -> str:
        """The body of a coroutine."""
        with self:
            self.step()
            if self.error:
                raise self.error
            await asyncio.sleep(0)
            if self.ending.blocks:
                self.blocked.set()
                await asyncio.Event().wait()
            self.step()
            return self.reply

    def stream(self) -> Generator[bytes, None, None]:
        """The body of a generator."""
        with self:
            for index, chunk in enumerate(self.chunks):
                self.step()
                if self.error and index == self.ending.at:
                    raise self.error
                yield chunk
            self.step()

    async def astream(self) -> AsyncGenerator[bytes, None]:
        """The body of an async generator."""
        with self:
            for index, chunk in enumerate(self.chunks):
                self.step()
                if self.error and index == self.ending.at:
                    raise self.error
                if not self.error:
                    await asyncio.sleep(0)
                if self.ending.blocks and index == self.ending.at:
                    self.blocked.set()
                    await asyncio.Event().wait()
                yield chunk
            self.step()
