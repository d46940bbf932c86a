"""What a tracker reports of one session: turns and events with times of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opentelemetry.trace import INVALID_SPAN_CONTEXT
from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._common.checks import identifier
from otel_chat._telemetry import runtime as runtimes
from otel_chat._telemetry.runtime import EVENT_TEXTS, NO_SPAN, Runtime
from otel_chat._turns.fields import EVENT_KEYS, span_attributes
from otel_chat._turns.turn import Turn, start_turn


class Session:
    """The telemetry of one session, which is a conversation.

    Args:
        session_id: The conversation's id; None where it is not known.
        agent: The agent's name.
        fields: Fields of a turn: channel, user_type, platform and so on.
    """

    def __init__(self, session_id: object, agent: str | None, fields: Mapping[str, object]) -> None:
        self.id = identifier(session_id)
        self.agent = agent
        self._fields = fields
        self._last = INVALID_SPAN_CONTEXT

    def turn(
        self,
        start_ns: int,
        end_ns: int,
        report: Callable[[Turn], None],
        *,
        error_type: str | None = None,
    ) -> None:
        """Reports a turn that is over.

        Inside a turn of a handler's it is a part of that; one that the WebSocket middleware has
        opened becomes this one. So no message is counted twice.

        Args:
            start_ns: When the user's message came, nanoseconds since 1970.
            end_ns: When the reply was there.
            report: Says what is known of it.
            error_type: The kind of error that it ended in, if any.
        """
        runtime = runtimes.current()
        fields = span_attributes(runtime, self._fields)
        turn = start_turn(runtime, self.agent, fields, self.id, start_ns=min(start_ns, end_ns))
        try:
            turn.fix_time(end_ns)
            report(turn)
            self._last = turn.span_context
        finally:
            status = sc.STATUS_OK if error_type is None else sc.STATUS_ERROR
            turn.finish_as(status, error_type, end_ns)

    def event(
        self,
        name: str,
        attributes: Mapping[str, AnyValue],
        *,
        time_ns: int | None = None,
        data: object = None,
        count: str | None = None,
    ) -> None:
        """Reports an event, in the context of the session's last turn where there was one.

        Args:
            name: One of the names in `semconv`.
            attributes: What is known of it.
            time_ns: When, if not now; nanoseconds since 1970.
            data: Anything JSON can hold; redacted.
            count: A counter that goes up by one with it.
        """
        runtime = runtimes.current()
        known = self._attributes(runtime)
        if not runtime.config.capture_content:
            attributes = {k: v for k, v in attributes.items() if k not in EVENT_TEXTS}
        when = runtime.clock.time_ns() if time_ns is None else time_ns
        uid = runtime.ids.event_uid()
        everything = {**{k: v for k, v in known.items() if k in EVENT_KEYS}, **attributes}
        put = runtime.delivery.put
        put((runtime.emit, name, everything, data, self._last, when, uid))
        if count is not None:
            put((runtime.instruments.add, count, 1, {**known, **attributes}, NO_SPAN))

    def _attributes(self, runtime: Runtime) -> dict[str, AnyValue]:
        known = span_attributes(runtime, self._fields)
        config = runtime.config
        if config.channel is not None:
            known.setdefault(sc.CHANNEL, config.channel)
        if config.tenant is not None:
            known.setdefault(sc.TENANT, config.tenant)
        if self.id is not None:
            known[sc.CONVERSATION_ID] = self.id
        if agent := self.agent or config.agent:
            known[sc.AGENT_NAME] = agent
        return known
