"""What was collected, in the words of a chat: turns, events, metrics."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace.status import StatusCode

from otel_chat import semconv as sc

FACTS: Final[Mapping[str, str]] = {
    "agent": sc.AGENT_NAME,
    "agent_version": sc.AGENT_VERSION,
    "cached": sc.CACHED,
    "cache_read_tokens": sc.USAGE_CACHE_READ_TOKENS,
    "channel": sc.CHANNEL,
    "confidence": sc.CONFIDENCE,
    "context_size": sc.CONTEXT_SIZE,
    "conversation_id": sc.CONVERSATION_ID,
    "cost": sc.COST_AMOUNT,
    "cost_source": sc.COST_SOURCE,
    "error_type": sc.ERROR_TYPE,
    "fallback": sc.FALLBACK,
    "handoff": sc.HANDOFF_TRIGGERED,
    "handoff_reason": sc.HANDOFF_REASON,
    "handoff_target": sc.HANDOFF_TARGET,
    "input_tokens": sc.USAGE_INPUT_TOKENS,
    "intent": sc.INTENT_NAME,
    "keep": sc.KEEP,
    "message_type": sc.MESSAGE_TYPE,
    "model": sc.REQUEST_MODEL,
    "output_tokens": sc.USAGE_OUTPUT_TOKENS,
    "provider": sc.PROVIDER_NAME,
    "reasoning_tokens": sc.USAGE_REASONING_TOKENS,
    "response_model": sc.RESPONSE_MODEL,
    "sentiment": sc.SENTIMENT,
    "status": sc.STATUS,
    "tenant": sc.TENANT,
    "time_to_first_chunk": sc.TIME_TO_FIRST_CHUNK,
    "user_hash": sc.USER_HASH,
    "user_type": sc.USER_TYPE,
    "variant": sc.VARIANT,
}
"""The short names of what a turn span says."""

_ALL: Final = {k: v for k, v in vars(sc).items() if isinstance(v, str)}
METRICS: Final = frozenset(v for k, v in _ALL.items() if k.startswith("METRIC_"))
EVENTS: Final = frozenset(v for k, v in _ALL.items() if k.startswith("EVENT_"))
_OURS: Final = "otel_chat."


def known(name: str, what: str, names: Collection[str], seen: Iterable[str] = ()) -> str:
    """The name itself, where there is such a one: a misspelt one finds nothing, and passes a test.

    Args:
        name: As a test gives it.
        what: What it names.
        names: Those there are.
        seen: Others that were collected, such as an application's own.

    Raises:
        LookupError: there is none; says which are alike.
    """
    if name in names or name in seen:
        return name
    alike = difflib.get_close_matches(str(name), names, 3) or sorted(names)
    raise LookupError(f"no {what} is called {name!r}; is it {', '.join(alike)}?")


def attribute(name: str, seen: Iterable[str] = ()) -> str:
    """The attribute that a short name stands for, or that is called so; see `known`."""
    found = FACTS.get(name, name)
    if "." in found and not found.startswith(_OURS):
        return found  # of another library's vocabulary
    return known(found, "fact of a turn", [*FACTS, *_ALL.values()], seen)


@dataclass(frozen=True, slots=True)
class Event:
    """A collected event.

    Args:
        name: Such as `otel_chat.intent`.
        attributes: What it says.
        trace_id: The trace that it belongs to; 0 outside a turn.
        span_id: The span that it belongs to; 0 outside a turn.
        time_ns: When it happened, in nanoseconds since 1970.
        resource: The attributes of the process.
    """

    name: str
    attributes: Mapping[str, Any]
    trace_id: int
    span_id: int
    time_ns: int
    resource: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class CollectedTurn:
    """A finished turn: its span, the spans inside and its events.

    What it says is read by short names (`turn["intent"]`, see `FACTS`) or by attribute names; None
    where it does not say it, a LookupError where there is no such name.

    Args:
        span: The turn's span.
        inside: The other spans of its trace below it, in the order in which they ended.
        events: The events in its context, in the order in which they were emitted.
    """

    span: ReadableSpan
    inside: Sequence[ReadableSpan] = ()
    events: Sequence[Event] = ()

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes of its span."""
        return dict(self.span.attributes or {})

    @property
    def duration(self) -> float:
        """Seconds from its start to its end."""
        return ((self.span.end_time or 0) - (self.span.start_time or 0)) / 1e9

    @property
    def is_error(self) -> bool:
        """Whether its span has the status ERROR."""
        return self.span.status.status_code is StatusCode.ERROR

    def __getitem__(self, name: str) -> Any:
        return self.attributes.get(attribute(name, self.attributes))

    def __str__(self) -> str:
        short = {key: name for name, key in FACTS.items()}
        lines = [f"turn {self.span.name!r}, {self.duration:.3f} s"]
        lines += [f"  {short.get(k, k)} = {v!r}" for k, v in sorted(self.attributes.items())]
        lines += [f"  inside: {span.name}" for span in self.inside]
        lines += [f"  event: {event.name} {dict(event.attributes)}" for event in self.events]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Point:
    """A metric's value for one attribute set.

    Args:
        attributes: The attribute set.
        value: The sum of a histogram, else the value.
        count: How many records a histogram took; None for other kinds.
        exemplars: Trace ids of the exemplars.
    """

    attributes: Mapping[str, Any]
    value: float
    count: int | None = None
    exemplars: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric since the last reset.

    Args:
        name: Such as `otel_chat.turn.duration`.
        points: One for each attribute set; counters that still stand at 0 are left out.
        unit: As it was given to the instrument.
    """

    name: str
    points: Sequence[Point] = ()
    unit: str = ""

    @property
    def total(self) -> float:
        """The sum over all attribute sets."""
        return sum(point.value for point in self.points)

    @property
    def count(self) -> int:
        """The records over all attribute sets, for a histogram."""
        return sum(point.count or 0 for point in self.points)

    def where(self, **attributes: Any) -> Metric:
        """The part with these attributes, by short names (`FACTS`): `where(agent="support")`.

        Raises:
            LookupError: there is no attribute of that name.
        """
        seen = {key for point in self.points for key in point.attributes}
        wanted = {attribute(name, seen): value for name, value in attributes.items()}
        kept = [p for p in self.points if wanted.items() <= dict(p.attributes).items()]
        return Metric(self.name, kept, self.unit)
