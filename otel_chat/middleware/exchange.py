"""One HTTP request and its answer, as the turns inside see it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from otel_chat._telemetry import runtime
from otel_chat._turns.request_context import RequestTurn, within
from otel_chat.middleware.request import Request, Rules

COMPONENT = "middleware"
FAILED = 500
"""What servers answer for an application that raises before its answer has begun."""


class Exchange:
    """The request of the turns inside it, over HTTP. One object per request.

    A handler returns before its answer has a status, so a turn that is over waits (with its own
    end time) until the answer starts. Where the client left before that, the turn is cancelled:
    nobody got the reply.

    Args:
        rules: Where the facts come from.
        request: The request.
        prepare: Fills in what is known only after routing; called when a turn starts.
    """

    def __init__(
        self, rules: Rules, request: Request, prepare: Callable[[Request], None] | None = None
    ) -> None:
        self.request = request
        self._rules = rules
        self._prepare = prepare
        self._lock = threading.Lock()
        self._status: int | None = None
        self._over = False
        self._turns: list[RequestTurn] = []
        self._held: list[RequestTurn] = []

    @property
    def waiting(self) -> bool:
        """Whether a turn waits for the answer's status."""
        return bool(self._held)

    @property
    def has_turns(self) -> bool:
        """Whether a turn has started inside."""
        return bool(self._turns)

    def context(self) -> Context:
        """The current context with this exchange in it."""
        return within(self, context_api.get_current())

    def facts(self) -> dict[str, object]:
        """What the request says of itself, read when a turn starts, so after routing."""
        try:
            if self._prepare is not None:
                self._prepare(self.request)
            known: dict[str, object] = {**self._rules.facts(self.request)}
        except Exception as error:  # noqa: BLE001 - a request may be of any shape
            runtime.report_error(COMPONENT, error)
            return {}
        if self._status is not None:
            known["http_status"] = self._status
        return known

    def link(self) -> SpanContext | None:
        """None: a turn in a request is a child of the request's span."""
        return None

    def claim(self) -> None:
        """None: in a request no turn is opened in expectation of a handler's."""
        return

    def started(self, turn: RequestTurn) -> None:
        """Notes a turn, to be told the status."""
        self._turns.append(turn)

    def hold(self, turn: RequestTurn) -> bool:
        """Keeps the end of a turn back until the answer starts or the request is over."""
        with self._lock:
            if self._status is not None or self._over:
                return False
            self._held.append(turn)
            return True

    def answered(self, status: int | None, *, gone: bool = False) -> None:
        """The answer starts: every turn learns its status, and those that are over end.

        Args:
            status: The HTTP status; None where it cannot be told. The first one counts: no later
                one reaches the client.
            gone: The client left before.
        """
        with self._lock:
            first = self._status is None
            if first:
                self._status = status
        if first and status is not None:
            for turn in self._turns:
                turn.answered(status)
        self._release(gone=gone)

    def end(self, *, gone: bool = False) -> None:
        """The request is over; may be called twice.

        Args:
            gone: The client left before the answer was complete: open turns are cancelled.
        """
        with self._lock:
            self._over = True
        self._release(gone=gone)
        if gone:
            for turn in self._turns:
                turn.finish(GeneratorExit())

    def _release(self, *, gone: bool) -> None:
        with self._lock:
            held, self._held = self._held, []
        for turn in held:
            turn.release(gone=gone)
