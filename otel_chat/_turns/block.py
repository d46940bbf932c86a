"""`turn(...)`: a turn as a block, for what is no handler of its own."""

from __future__ import annotations

from contextvars import Token
from types import TracebackType
from typing import Unpack

from opentelemetry.context import Context

from otel_chat._telemetry.runtime import current, report_error
from otel_chat._turns.fields import TurnFields, check_names, span_attributes
from otel_chat._turns.turn import NO_TURN, Turn, start_turn


class TurnBlock:
    """What `turn(...)` returns: enter it with `with` or `async with`, once each time."""

    def __init__(
        self, agent: str | None, conversation_id: object, message: str | None, fields: TurnFields
    ) -> None:
        self._given = (agent, conversation_id, message, fields)
        self._turn = NO_TURN
        self._token: Token[Context] | None = None

    def __enter__(self) -> Turn:
        agent, conversation_id, message, fields = self._given
        try:
            runtime = current()
            attributes = span_attributes(runtime, fields)
            self._turn = start_turn(runtime, agent, attributes, conversation_id)
            self._token = self._turn.attach()
        except Exception as error:  # noqa: BLE001 - never in the caller's way
            report_error("turn", error)
            return self._turn
        if message is not None:
            self._turn.message(message)
        return self._turn

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._token is not None:
            self._turn.detach(self._token)
            self._token = None
        self._turn.finish(error)

    async def __aenter__(self) -> Turn:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)


def turn(
    agent: str | None = None,
    *,
    conversation_id: object = None,
    message: str | None = None,
    **fields: Unpack[TurnFields],
) -> TurnBlock:
    """A turn as a block, for what is no handler of its own; sync and async.

    Args:
        agent: The agent's name; else the conversation's, else the configured one.
        conversation_id: As the application knows it; never made up.
        message: The user's message, kept only with content capture on.
        **fields: channel, model, user_type, user_id and so on, see `TurnFields`.

    Raises:
        ConfigurationError: there is no such field.

    Example:
        >>> with turn(agent="support", conversation_id="c-1", channel="web") as now:
        ...     now.topic("delivery")
    """
    check_names(fields, "turn()")
    return TurnBlock(agent, conversation_id, message, fields)
