"""Every error that otel-chat raises on purpose.

OtelChatError
├── ConfigurationError     a setting, option or argument is wrong; names it and the fix
│   └── MissingExtraError      an optional part is not installed; names the extra and the command
├── ArgumentError          an argument of a report cannot be used; counted and logged, not raised
├── TelemetryError         telemetry failed; raised under test only, else counted and logged once
├── IngestError            a telemetry request cannot be taken; carries the HTTP status
├── QueryError             a question to the analytics server is malformed; names the field
├── AccessError            no token, no such scope, or another tenant's data
└── StoreError             the analytics store failed
    ├── StoreLockedError       another process holds the embedded store
    └── StoreUnavailableError  the store is away for now; try again later
        └── QuestionLimitError     a question takes more memory or time than one may
"""

from __future__ import annotations


class OtelChatError(Exception):
    """Base class of every error that otel-chat raises on purpose."""


class ConfigurationError(OtelChatError):
    """A setting, option or argument is wrong. The message names it and says what to do."""


class DefinitionError(ConfigurationError):
    """A field of what somebody wrote is wrong.

    Args:
        where: What it was written in, as a file's name.
        message: What is wrong and how to mend it.
        field: The field at fault; None where it is the whole.
    """

    def __init__(self, where: str, message: str, *, field: str | None = None) -> None:
        super().__init__(": ".join(one for one in (where, field, message) if one is not None))
        self.message = message
        self.field = field


class MissingExtraError(ConfigurationError, ImportError):
    """An optional part is not installed. The message names every extra and how to install it."""


class ArgumentError(OtelChatError):
    """An argument cannot be used. The text names arguments and types only, so it may be logged.

    Args:
        text: What is wrong, and what is allowed.
        argument: The argument's name, where it is about one.
    """

    def __init__(self, text: str, argument: str = "") -> None:
        super().__init__(text)
        self.argument = argument or text


class ArgumentNameError(ArgumentError, TypeError):
    """There is no such argument, or one is missing."""


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument is of a wrong type.

    Args:
        argument: Its name.
        allowed: What it may be.
        value: What was given.
    """

    def __init__(self, argument: str, allowed: str, value: object) -> None:
        super().__init__(f"{argument} must be {allowed}, not {type(value).__name__}", argument)


class ArgumentValueError(ArgumentError, ValueError):
    """An argument is of a right type, and out of what is allowed; likewise."""

    def __init__(self, argument: str, allowed: str, value: object) -> None:
        other = f"another {type(value).__name__}"
        super().__init__(f"{argument} must be {allowed}, not {other}", argument)


class TelemetryError(OtelChatError):
    """Telemetry failed. Raised under test only; in production it is counted and logged once."""


class IngestError(OtelChatError):
    """A telemetry request cannot be taken.

    Args:
        message: What is wrong with the request, naming the field.
        status: The HTTP status to answer with.
    """

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class QueryError(OtelChatError):
    """A question to the analytics server is malformed.

    Args:
        message: What is wrong and how to mend it.
        field: The parameter at fault.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class AccessError(OtelChatError):
    """No token, no such scope, or another tenant's data.

    Args:
        message: What is missing.
        status: 401 without a valid token, 403 without the scope, 404 for another tenant's data.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class StoreError(OtelChatError):
    """The analytics store failed."""


class StoreLockedError(StoreError):
    """Another process holds the embedded store. The message names the holder."""


class StoreUnavailableError(StoreError):
    """The store is away for now. Try again after `retry_after` seconds.

    Args:
        message: What is wrong, for whoever runs the store: it may name places.
        retry_after: Seconds.
        told: What to tell others, who must not learn of those; the message without.
    """

    def __init__(self, message: str, *, retry_after: int = 5, told: str = "") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.told = told or message


class QuestionLimitError(StoreUnavailableError):
    """A question takes more memory or time than one may. The store answers others."""
