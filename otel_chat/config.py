"""Settings of the library, and the one table that says which environment variable sets which."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otel_chat.errors import ConfigurationError
from otel_chat.semconv import LOW_CONFIDENCE_THRESHOLD

if TYPE_CHECKING:
    from otel_chat.hooks import Advice, Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the library does, for one process.

    Args:
        capture_content: Keep the text of messages, replies, entity values, comments and exceptions,
            redacted. Off unless asked for.
        content_limit: Characters of a text that are kept; what is cut is said (64 to 1,000,000).
        agent: Name of the agent where a handler names none.
        channel: Channel where neither handler nor conversation names one.
        tenant: Tenant of this process' telemetry, where its token may write several.
        keep_rate: Share of conversations whose traces all go to Tempo (marked `otel_chat.keep`),
            0 to 1. What failed, was slow, unsure or handed off goes there at any share.
        keep_key: Key of the hash behind `keep_rate`; the same in every process of a service.
        slow_seconds: A turn at least this long is kept, in seconds.
        low_confidence: A confidence below this is low, 0 to 1.
        user_hash_key: Key under which user ids are hashed. Without it no user id is recorded.
        queue_size: Records and events that wait for delivery at most.
        drain_seconds: How often the delivery thread empties the queue, 0.01 to 10 seconds.
        conversation_idle_seconds: After this long without a turn a conversation is not active.
        conversation_limit: Conversations remembered by this process at most.
        models: Models whose unit prices are loaded at setup, not when first named.
        known_values: Attribute to values that will occur, the most important first: metrics keep
            these names before any others, and their counters start at 0.
        price_table: Model to US dollars per million tokens (`input`, `output`, `cache_read`),
            before the bundled prices.
        redactor: Redacts every text before it leaves the process; the rules of
            `otel_chat.privacy` where none is given.
        topic_detector: Tells the topics of a user's message, redacted, after the reply; or gives a
            `concurrent.futures.Future` of them.
        sentiment_analyser: Tells its sentiment: positive, neutral, negative, or None.
        escalation_advisor: Tells whether a human should take over; the advice is recorded only.
        console: Write a line for each turn to the terminal (standard error).
        prometheus_port: Port on which Prometheus fetches this process' metrics, 1 to 65535; none
            unless asked for.
        prometheus_host: Address for it; this machine alone by default.
        exit_seconds: At the end of the process, how long spans, events and metrics may each take
            to be sent, 0.1 to 60 seconds; the queue before them twice as long.
        handle_sigterm: Send what is queued when SIGTERM ends the process, where the application
            has no handler of its own for it.
        hook_seconds: How long each of the three may take for a turn, 0.01 to 10 seconds.
        latest_names: Leave out metrics by former names of the GenAI conventions, which otherwise
            stand beside the present ones for one release. In the environment by
            `gen_ai_latest_experimental` in the conventions' own list.

    Raises:
        ConfigurationError: a value is out of range; names the field.

    Example:
        >>> Config(keep_rate=0.25).keep_rate
        0.25
        >>> Config(keep_rate=2)
        Traceback (most recent call last):
        ...
        otel_chat.errors.ConfigurationError: keep_rate must lie between 0 and 1, not 2.
    """

    capture_content: bool = False
    content_limit: int = 16_384
    agent: str | None = None
    channel: str | None = None
    tenant: str | None = None
    keep_rate: float = 1.0
    keep_key: str = "otel-chat"
    slow_seconds: float = 3.0
    low_confidence: float = LOW_CONFIDENCE_THRESHOLD
    user_hash_key: str | None = field(default=None, repr=False)
    queue_size: int = 20_000
    drain_seconds: float = 0.2
    conversation_idle_seconds: float = 1800.0
    conversation_limit: int = 10_000
    models: Sequence[str] = ()
    known_values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    price_table: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    redactor: Callable[[str], str] | None = None
    topic_detector: Callable[[str], str | Iterable[str] | None] | None = None
    sentiment_analyser: Callable[[str], str | None] | None = None
    escalation_advisor: Callable[[Situation], Advice | str | None] | None = None
    hook_seconds: float = 0.5
    console: bool = False
    prometheus_port: int | None = None
    prometheus_host: str = "127.0.0.1"
    exit_seconds: float = 5.0
    handle_sigterm: bool = True
    latest_names: bool = False

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigurationError(f"{name} must be a number, not {value!r}.")
            if not low <= value <= high:
                raise ConfigurationError(f"{name} must lie between {low} and {high}, not {value}.")
        port = self.prometheus_port
        if port is not None and (type(port) is not int or not 1 <= port <= PORTS):
            raise ConfigurationError(
                f"prometheus_port must be a whole number from 1 to {PORTS}, not {port!r}."
            )
        if not _are_known_values(self.known_values):
            raise ConfigurationError(
                "known_values must be lists of texts by attribute, such as"
                f" {{'gen_ai.agent.name': ['support', 'sales']}}, not {self.known_values!r}."
            )
        for name in ("redactor", "topic_detector", "sentiment_analyser", "escalation_advisor"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise ConfigurationError(f"{name} must be a function, not {value!r}.")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **given: Any) -> Config:
        """Settings from the environment, where `given` does not say otherwise.

        Args:
            environ: The variables; the process' own by default.
            given: Fields that win over the environment; None counts as not given.

        Raises:
            ConfigurationError: a variable cannot be read; names it.

        Example:
            >>> Config.from_env({"OTEL_CHAT_KEEP_RATE": "0.5"}).keep_rate
            0.5
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for variable, (name, parse) in ENVIRONMENT.items():
            raw = environ.get(variable, "").strip()
            if raw and name not in values:
                try:
                    values[name] = parse(raw)
                except ValueError as error:
                    raise ConfigurationError(f"{variable}={raw!r}: {error}") from error
        values.update({name: value for name, value in given.items() if value is not None})
        return cls(**values)

    def replace(self, **changes: Any) -> Config:
        """A copy with other values; None leaves a field as it is."""
        return dataclasses.replace(self, **{k: v for k, v in changes.items() if v is not None})


def _are_known_values(given: Any) -> bool:
    return isinstance(given, Mapping) and all(
        isinstance(attribute, str)
        and isinstance(values, Collection)
        and not isinstance(values, str)
        and all(isinstance(value, str | bool) for value in values)
        for attribute, values in given.items()
    )


def flag(raw: str) -> bool:
    """Reads a yes or no of an environment variable.

    Raises:
        ValueError: it is neither.

    Example:
        >>> flag("on"), flag("0")
        (True, False)
    """
    lowered = raw.lower()
    if lowered in {"1", "true", "yes", "on"}:
        return True
    if lowered in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError("expected true or false")


def _gen_ai_capture(raw: str) -> bool:
    """The conventions' own switch; every mode that captures means spans here."""
    lowered = raw.lower()
    if lowered in {"span_only", "span_and_event"}:
        return True
    if lowered in {"no_content", "event_only"}:
        return False
    return flag(raw)


def _latest_names(raw: str) -> bool:
    """The conventions' own switch: a list, in which other conventions stand, too."""
    return "gen_ai_latest_experimental" in (one.strip() for one in raw.split(","))


PORTS: Final = 65_535

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "content_limit": (64, 1_000_000),
    "keep_rate": (0, 1),
    "slow_seconds": (0, 86_400),
    "low_confidence": (0, 1),
    "queue_size": (1, 10_000_000),
    "drain_seconds": (0.01, 10),
    "conversation_idle_seconds": (1, 7 * 86_400),
    "conversation_limit": (1, 10_000_000),
    "hook_seconds": (0.01, 10),
    "exit_seconds": (0.1, 60),
}

ENVIRONMENT: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "OTEL_CHAT_CAPTURE_CONTENT": ("capture_content", flag),
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": ("capture_content", _gen_ai_capture),
    "OTEL_CHAT_CONTENT_LIMIT": ("content_limit", int),
    "OTEL_CHAT_AGENT": ("agent", str),
    "OTEL_CHAT_CHANNEL": ("channel", str),
    "OTEL_CHAT_TENANT": ("tenant", str),
    "OTEL_CHAT_KEEP_RATE": ("keep_rate", float),
    "OTEL_CHAT_KEEP_KEY": ("keep_key", str),
    "OTEL_CHAT_SLOW_SECONDS": ("slow_seconds", float),
    "OTEL_CHAT_LOW_CONFIDENCE": ("low_confidence", float),
    "OTEL_CHAT_USER_HASH_KEY": ("user_hash_key", str),
    "OTEL_CHAT_QUEUE_SIZE": ("queue_size", int),
    "OTEL_CHAT_DRAIN_SECONDS": ("drain_seconds", float),
    "OTEL_CHAT_CONVERSATION_IDLE_SECONDS": ("conversation_idle_seconds", float),
    "OTEL_CHAT_CONVERSATION_LIMIT": ("conversation_limit", int),
    "OTEL_CHAT_HOOK_SECONDS": ("hook_seconds", float),
    "OTEL_CHAT_CONSOLE": ("console", flag),
    "OTEL_CHAT_PROMETHEUS_PORT": ("prometheus_port", int),
    "OTEL_CHAT_PROMETHEUS_HOST": ("prometheus_host", str),
    "OTEL_CHAT_EXIT_SECONDS": ("exit_seconds", float),
    "OTEL_CHAT_HANDLE_SIGTERM": ("handle_sigterm", flag),
    "OTEL_SEMCONV_STABILITY_OPT_IN": ("latest_names", _latest_names),
}
"""Environment variable to field and reader; where two set one field, the first wins."""
