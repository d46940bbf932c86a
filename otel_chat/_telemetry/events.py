"""Events as log records: the one module that touches `opentelemetry._logs`."""

from __future__ import annotations

from opentelemetry._logs import (
    LoggerProvider,
    LogRecord,
    NoOpLogger,
    SeverityNumber,
    get_logger,
    get_logger_provider,
)
from opentelemetry.context import Context
from opentelemetry.util.types import AnyValue

from otel_chat._version import __version__
from otel_chat.semconv import EVENT_EXCEPTION, EVENT_UID


class Emitter:
    """Emits events through a LoggerProvider.

    Args:
        provider: The provider; the global one where none is given, looked up at each use until
            there is one, so that it may be installed late.

    Example:
        >>> Emitter().emit("otel_chat.topic", 1, {}, Context(), uid="1")
        False
    """

    def __init__(self, provider: LoggerProvider | None = None) -> None:
        self._logger = get_logger(
            "otel_chat", __version__, logger_provider=provider or get_logger_provider()
        )
        self._taken: dict[str, bool] = {}

    def new_round(self) -> None:
        """Asks again who takes events, with the next one of each name."""
        self._taken.clear()

    def _enabled(self, name: str) -> bool:
        ask = getattr(self._logger, "enabled", None)
        if ask is not None:
            return bool(ask(event_name=name))
        # Before 1.45 nobody can be asked; a proxy holds what it stands for
        return not isinstance(getattr(self._logger, "_logger", self._logger), NoOpLogger)

    def emit(
        self,
        name: str,
        time_ns: int,
        attributes: dict[str, AnyValue],
        context: Context,
        *,
        uid: str,
    ) -> bool:
        """Emits one event; False where nobody takes it.

        Args:
            name: One of the names in `semconv`.
            time_ns: When it happened, nanoseconds since 1970.
            attributes: What is known of it; becomes the event's own.
            context: Holds the span it belongs to.
            uid: Its `log.record.uid`.
        """
        taken = self._taken.get(name)
        if taken is None:
            taken = self._taken[name] = self._enabled(name)
        if not taken:
            return False
        attributes[EVENT_UID] = uid
        failed = name == EVENT_EXCEPTION
        self._logger.emit(
            LogRecord(
                timestamp=time_ns,
                observed_timestamp=time_ns,
                context=context,
                severity_number=SeverityNumber.ERROR if failed else SeverityNumber.INFO,
                severity_text="ERROR" if failed else "INFO",
                attributes=attributes,
                event_name=name,
            )
        )
        return True
