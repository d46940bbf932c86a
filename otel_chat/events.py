"""Events as log records: the one module that touches `opentelemetry._logs`."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry._logs import LoggerProvider, SeverityNumber, get_logger, get_logger_provider
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

    def emit(
        self,
        name: str,
        time_ns: int,
        attributes: Mapping[str, AnyValue],
        context: Context,
        *,
        uid: str,
    ) -> bool:
        """Emits one event; False where nobody takes it.

        Args:
            name: One of the names in `semconv`.
            time_ns: When it happened, nanoseconds since 1970.
            attributes: What is known of it.
            context: Holds the span it belongs to.
            uid: Its `log.record.uid`.
        """
        if not self._logger.enabled(event_name=name):
            return False
        severity = SeverityNumber.ERROR if name == EVENT_EXCEPTION else SeverityNumber.INFO
        self._logger.emit(
            timestamp=time_ns,
            observed_timestamp=time_ns,
            context=context,
            severity_number=severity,
            severity_text=severity.name,
            attributes={**attributes, EVENT_UID: uid},
            event_name=name,
        )
        return True
