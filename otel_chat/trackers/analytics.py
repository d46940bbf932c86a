"""`AnalyticsTracker`: counts of one chat session, kept while it runs and saved at its end."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, Unpack

from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._common.checks import identifier
from otel_chat._telemetry import runtime as runtimes
from otel_chat._telemetry.runtime import report_error
from otel_chat._turns.fields import ConversationFields, check_names
from otel_chat._turns.turn import Turn
from otel_chat.trackers._session import Session

P = ParamSpec("P")

COMPONENT: Final = "analytics_tracker"
Save = Callable[[str, dict[str, Any]], "bool | Awaitable[bool | None] | None"]

logger = logging.getLogger("otel_chat.analytics")


def _own_errors(
    method: Callable[Concatenate[AnalyticsTracker, P], None],
) -> Callable[Concatenate[AnalyticsTracker, P], None]:
    """An error of ours in reporting stays ours; the counts stand."""

    @wraps(method)
    def call(self: AnalyticsTracker, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - never in the way of the chat
            report_error(COMPONENT, error)

    return call


class AnalyticsTracker:
    """Counts messages, response times, topics and actions of one session.

    Each answered message is also a turn in the telemetry; topics and actions are events of it. An
    answer without a question, and a question without an answer, is a message of its own.

    Args:
        session_id: The session's id, which is the conversation's.
        save: Keeps a session's record, called with its id and `to_dict()`; returns whether the
            record is new. Sync or async. Without one the telemetry alone keeps them.
        agent: The agent's name.
        **fields: channel, user_type and so on (`ConversationFields`).

    Raises:
        ConfigurationError: there is no such field.

    Example:
        >>> records = {}
        >>> def save(session_id, record):
        ...     created = session_id not in records
        ...     records[session_id] = record
        ...     return created
        >>> tracker = AnalyticsTracker("abc-123", save=save)
        >>> tracker.track_user_message()
        >>> tracker.track_assistant_message(150)
        >>> tracker.track_topic("delivery")
        >>> tracker.save_analytics().created
        True
        >>> records["abc-123"]["average_response_time_ms"]
        150.0
    """

    def __init__(
        self,
        session_id: object = None,
        *,
        save: Save | None = None,
        agent: str | None = None,
        **fields: Unpack[ConversationFields],
    ) -> None:
        check_names(fields, "AnalyticsTracker()")
        self.session_id = session_id
        self.user_messages = 0
        self.assistant_messages = 0
        self.response_times: list[float] = []
        self.topics_discussed: list[str] = []
        self.actions_taken: list[dict[str, Any]] = []
        self._agent = agent
        self._fields = fields
        self._save = save
        self._made: Session | None = None
        self._changes = 0
        self._saved: int | None = None
        self._asked: tuple[int, str | None] | None = None

    # -- tracking ------------------------------------------------------------------------------

    def track_user_message(self, text: str | None = None) -> None:
        """Counts a message of the user's.

        Args:
            text: Kept with the turn only where content is captured, redacted.
        """
        self.user_messages += 1
        self._changes += 1
        self._report_question()
        self._note_question(text)

    def track_assistant_message(
        self, response_time_ms: float | None = None, text: str | None = None
    ) -> None:
        """Counts a message of the assistant's.

        Args:
            response_time_ms: Milliseconds from the user's message to it, 0 and more; None for a
                message that answers nothing. What is no such number counts no time.
            text: Kept only where content is captured, redacted.
        """
        self.assistant_messages += 1
        self._changes += 1
        time = _milliseconds(response_time_ms)
        if time is not None:
            self.response_times.append(time)
        self._report_answer(time, text)

    def track_topic(self, topic: str) -> None:
        """Notes a topic; each counts once a session, in the order of their first mention."""
        self._changes += 1
        if topic not in self.topics_discussed:
            self.topics_discussed.append(topic)
        self._report_event(sc.EVENT_TOPIC, sc.TOPIC_NAME, topic)

    def track_action(self, action_type: str, action_data: Mapping[str, Any] | None = None) -> None:
        """Notes something that the user did: a link clicked, a service viewed.

        Args:
            action_type: What it was, as one of few words.
            action_data: Anything JSON can hold.
        """
        self._changes += 1
        when = datetime.fromtimestamp(runtimes.current().clock.time_ns() / 1e9, UTC)
        self.actions_taken.append(
            {"type": action_type, "data": dict(action_data or {}), "timestamp": when.isoformat()}
        )
        self._report_event(
            sc.EVENT_ACTION, sc.ACTION_TYPE, action_type, action_data, sc.METRIC_ACTIONS
        )

    # -- figures -------------------------------------------------------------------------------

    def get_average_response_time(self) -> float:
        """The mean response time in milliseconds.

        0.0 where nothing was answered yet, as hand-written trackers have it and columns that are
        NOT NULL want it; the telemetry has no such zero.
        """
        times = self.response_times
        return math.fsum(times) / len(times) if times else 0.0

    def get_total_messages(self) -> int:
        """Messages of both sides."""
        return self.user_messages + self.assistant_messages

    def to_dict(self) -> dict[str, Any]:
        """The session's record, as it is saved; a copy."""
        return {
            "total_messages": self.get_total_messages(),
            "user_messages": self.user_messages,
            "assistant_messages": self.assistant_messages,
            "average_response_time_ms": self.get_average_response_time(),
            "topics_discussed": list(self.topics_discussed),
            "actions_taken": [dict(action) for action in self.actions_taken],
        }

    # -- saving --------------------------------------------------------------------------------

    def save_analytics(self) -> Saving:
        """Saves the record: call it when the session is closed and when the socket disconnects.

        What was saved and has not changed since is not saved again, so both calls together save
        once. A failing `save` is reported, and the next call tries again.

        Returns:
            What became of it; to be awaited where `save` is async.
        """
        if self._saved == self._changes:
            return Saving()
        self._report_question()
        record, changes = self.to_dict(), self._changes
        before, self._saved = self._saved, changes
        try:
            result = before is None if self._save is None else self._save(self._key, record)
        except Exception as error:  # noqa: BLE001 - the application's own store
            self._failed(error, before)
            return Saving()
        if inspect.isawaitable(result):
            return Saving(pending=self._finish_saving(result, record, before))
        return Saving(created=self._log(record, created=bool(result)))

    @property
    def _key(self) -> str:
        return "" if self.session_id is None else str(self.session_id)

    async def _finish_saving(
        self, result: Awaitable[bool | None], record: Mapping[str, Any], before: int | None
    ) -> bool | None:
        try:
            created = bool(await result)
        except Exception as error:  # noqa: BLE001 - the application's own store
            self._failed(error, before)
            return None
        except BaseException:
            self._saved = before
            raise
        return self._log(record, created=created)

    def _failed(self, error: Exception, before: int | None) -> None:
        self._saved = before
        report_error(COMPONENT, error)

    def _log(self, record: Mapping[str, Any], *, created: bool) -> bool:
        said = {
            "session_id": "".join(c for c in self._key if c.isprintable()),
            "total_messages": record["total_messages"],
            "average_response_time_ms": round(record["average_response_time_ms"], 1),
        }
        # `created` is the logging module's own name for the time, so the extra field is longer
        logger.info(
            "Analytics saved for session %s%s",
            said["session_id"],
            "".join(f"\n  {k}: {v}" for k, v in {**said, "created": created}.items()),
            extra={**said, "record_created": created},
        )
        return created

    # -- telemetry -----------------------------------------------------------------------------

    def _session(self) -> Session:
        """Made at the first use: a consumer learns its session's id after it is made."""
        if self._made is None or self._made.id != identifier(self.session_id):
            self._made = Session(self.session_id, self._agent, {**self._fields})
        return self._made

    @_own_errors
    def _note_question(self, text: str | None) -> None:
        self._asked = (runtimes.current().clock.time_ns(), text)

    @_own_errors
    def _report_question(self) -> None:
        """Reports a question that stayed without an answer, as a message."""
        asked, self._asked = self._asked, None
        if asked is not None:
            self._report_message("user", asked[1], asked[0])

    @_own_errors
    def _report_answer(self, time_ms: float | None, text: str | None) -> None:
        asked, self._asked = self._asked, None
        now = runtimes.current().clock.time_ns()
        if asked is None:
            self._report_message("assistant", text, now)
            return
        start = asked[0] if time_ms is None else now - round(time_ms * 1e6)

        def report(turn: Turn) -> None:
            if asked[1] is not None:
                turn.message(asked[1])
            if text is not None:
                turn.reply(text)

        self._session().turn(start, now, report)

    def _report_message(self, sender: str, text: str | None, time_ns: int) -> None:
        attributes: dict[str, AnyValue] = {sc.MESSAGE_SENDER: sender}
        if text is not None:
            attributes[sc.MESSAGE_TEXT] = text
        self._session().event(sc.EVENT_MESSAGE, attributes, time_ns=time_ns)

    @_own_errors
    def _report_event(
        self, name: str, key: str, value: object, data: object = None, count: str | None = None
    ) -> None:
        clean = runtimes.current().name(value)
        self._session().event(name, {key: clean}, data=data, count=count)


class Saving:
    """What became of a call of `save_analytics()`; awaitable in any case.

    Args:
        created: Whether a record was created (True) or updated (False); None where nothing had to
            be saved, or saving failed.
        pending: The save, where it is async.
    """

    def __init__(
        self,
        *,
        created: bool | None = None,
        pending: Coroutine[Any, Any, bool | None] | None = None,
    ) -> None:
        self.created = created
        self._pending = pending

    def __await__(self) -> Generator[Any, Any, bool | None]:
        pending, self._pending = self._pending, None
        if pending is not None:
            self.created = yield from pending.__await__()
        return self.created


def _milliseconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def engagement_score(turns: int, actions: int, outcome: str = "open") -> float:
    """How engaged a session was, 0 to 100: turns, actions and outcome, as in docs/definitions.

    40 points for ten turns and more, 20 for three actions and more, 40 for a session that was
    resolved and half of them for one that is open or was handed off.

    Args:
        turns: Questions that were answered, 0 and more.
        actions: Actions taken, 0 and more.
        outcome: resolved, handed_off, abandoned, failed or open.

    Raises:
        ValueError: a number is negative, or there is no such outcome.

    Example:
        >>> engagement_score(5, 3, "resolved")
        80.0
    """
    if turns < 0 or actions < 0:
        raise ValueError(f"turns and actions must not be negative, not {turns} and {actions}")
    if outcome not in sc.OUTCOMES:
        raise ValueError(f"outcome must be one of {', '.join(sc.OUTCOMES)}, not {outcome!r}")
    end = {"resolved": 1.0, "open": 0.5, "handed_off": 0.5}.get(outcome, 0.0)
    return 40 * min(turns / 10, 1) + 20 * min(actions / 3, 1) + 40 * end
