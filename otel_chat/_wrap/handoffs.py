"""`handoff`: the handing over to a human, requested, accepted and ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, overload

from opentelemetry import trace
from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._common.checks import is_a, number, text
from otel_chat._telemetry.runtime import NO_SPAN, Runtime, current, report_error, reporting
from otel_chat._turns.conversation import Time, context_attributes, queue_event
from otel_chat._wrap.arguments import is_function
from otel_chat._wrap.steps import Step, configured
from otel_chat.errors import ArgumentError, ArgumentTypeError

F = TypeVar("F", bound=Callable[..., Any])
Given = str | Callable[..., object] | None
UNSPECIFIED: Final = "unspecified"


class Handoff(Step):
    """One handing over, as `handoff` makes it."""

    operation = sc.OPERATION_HANDOFF

    def __init__(self, reason: Given, target: Given) -> None:
        super().__init__(target if is_a(target, str) else "human", {})
        self._reason, self._target = reason, target
        self._base: dict[str, AnyValue] = {}
        self._where = trace.INVALID_SPAN_CONTEXT
        self._refused = self._accepted = self._ended = False

    def check(self) -> None:
        """Looks at reason and target, for a decorator.

        Raises:
            ConfigurationError: one is neither text nor function; names it.
        """
        for option, value in (("reason", self._reason), ("target", self._target)):
            if not callable(value):
                configured(_optional, value, f"handoff: {option}")

    def on_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Takes reason and target from the arguments, where functions were given for them."""
        if callable(self._reason):
            self._reason = self._checked("reason", self._reason(*args, **kwargs))
        if callable(self._target):
            self._target = self._checked("target", self._target(*args, **kwargs))

    def on_start(self) -> None:
        """Reports the request."""
        reason = self._checked("reason", self._reason) or UNSPECIFIED
        target = self._checked("target", self._target)
        runtime, turn = current(), self._turn
        known: dict[str, AnyValue] = {sc.HANDOFF_REASON: runtime.name(reason)}
        if target is not None:
            known[sc.HANDOFF_TARGET] = runtime.name(target)
        self._late.update(known)
        self._base = context_attributes(None, None)
        self._where = turn.span_context if turn.is_live else self._span.get_span_context()
        if turn.is_live:
            turn.handoff(reason, target=target)
            return
        self._report(sc.EVENT_HANDOFF_REQUESTED)
        series = {**self._base, **known}
        runtime.delivery.put((runtime.instruments.add, sc.METRIC_HANDOFFS, 1, series, NO_SPAN))

    def _checked(self, option: str, value: object) -> str | None:
        try:
            return _optional(value, option)
        except ArgumentError as error:  # costs itself alone
            report_error(self.operation, error)
            return None

    def on_result(self, value: object, /) -> None:
        """Notes whether somebody took over: `False` says that nobody did."""
        self._refused = value is False

    def on_end(self, runtime: Runtime, *, well: bool, behind: bool) -> None:  # noqa: ARG002
        """Reports the acceptance."""
        if well and not self._refused:
            self.accepted(wait=self._elapsed / 1e9)

    @reporting("handoff")
    def accepted(self, *, wait: float | None = None) -> None:
        """Reports that somebody took over; a block without this call does so when it is left.

        Args:
            wait: Seconds from the request; measured where none are given.
        """
        if self._accepted:
            return
        self._accepted = True
        self._guarded(self._report_accepted, wait)

    def _report_accepted(self, wait: float | None) -> None:
        if wait is None:
            wait = (current().clock.monotonic_ns() - self._start_mono) / 1e9
        seconds = self._late[sc.HANDOFF_WAIT] = number(wait, "wait", 0)
        self._report(sc.EVENT_HANDOFF_ACCEPTED, {sc.HANDOFF_WAIT: seconds})

    def refused(self) -> None:
        """Says that nobody took over, so that a block is left without an acceptance."""
        self._refused = True

    def ended(self) -> None:
        """Reports that the human is done; at any time after the request, once."""
        if not self._ended:
            self._ended = True
            self._guarded(self._report, sc.EVENT_HANDOFF_ENDED)

    def _report(self, name: str, more: dict[str, AnyValue] | None = None) -> None:
        keys = (sc.HANDOFF_REASON, sc.HANDOFF_TARGET)
        known = {key: self._late[key] for key in keys if key in self._late}
        queue_event(current(), name, self._base, {**known, **(more or {})}, span=self._where)


def _optional(value: object, option: str) -> str | None:
    """A text or none.

    Raises:
        ArgumentTypeError: it is neither; names the option.
    """
    if value is None or is_a(value, str):
        return text(value, option) if value is not None else None
    raise ArgumentTypeError(option, "a text or a function of the arguments", value)


@overload
def handoff(function: F, /) -> F: ...


@overload
def handoff(reason: str | None = None, /, *, target: Given = None) -> Handoff: ...


@overload
def handoff(*, reason: Given, target: Given = None) -> Handoff: ...


def handoff(
    function: F | str | None = None, /, *, reason: Given = None, target: Given = None
) -> F | Handoff:
    """Reports the handing over to a human, by the function or the block that does it.

    Requested when it begins, accepted when it returns, with the wait in seconds; not accepted
    where it raises or returns `False`. Each is a child span `handoff {target}`. The end of the
    human's work is said by `ended()` of the block, or later and elsewhere by `handoff_ended`.

    Args:
        function: The function, where the decorator stands bare; else the reason.
        reason: One of few words: `user_request`, `low_confidence`, ...; or a function of the
            decorated function's arguments.
        target: The queue or team asked; likewise.

    Raises:
        ConfigurationError: used as a decorator, where reason or target is neither text nor
            function.

    Example:
        >>> from otel_chat import turn
        >>> @handoff(reason=lambda customer, why: why, target="billing")
        ... def call_colleague(customer: str, why: str) -> str:
        ...     return f"{customer}: a colleague takes over"
        >>> with turn(agent="support", conversation_id="c-1"):
        ...     call_colleague("Ada", "user_request")
        ...     with handoff("low_confidence", target="returns") as transfer:
        ...         transfer.accepted(wait=12.5)
        ...     transfer.ended()
        'Ada: a colleague takes over'
    """
    if is_function(function):
        return Handoff(reason, target)(function)  # type: ignore[type-var,return-value] # a function
    return Handoff(reason if function is None else function, target)


@reporting("handoff")
def handoff_ended(
    conversation_id: object,
    *,
    agent: str | None = None,
    target: str | None = None,
    time: Time | None = None,
) -> None:
    """Reports that the human is done, where you no longer have the block of the handoff.

    Args:
        conversation_id: As the application knows it.
        agent: The bot's name.
        target: The queue or team that took over.
        time: When, if not now.

    Example:
        >>> handoff_ended("c-1", agent="support", target="billing")
    """
    runtime = current()
    given = {} if target is None else {sc.HANDOFF_TARGET: runtime.name(target, "target")}
    base = context_attributes(conversation_id, agent)
    queue_event(runtime, sc.EVENT_HANDOFF_ENDED, base, given, time=time)
