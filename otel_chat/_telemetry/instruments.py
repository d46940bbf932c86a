"""Every instrument: name, kind, unit, bounds, attributes; and the caps that keep series few."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation
from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc

AttributeValue = str | bool
Attributes = Mapping[str, AnyValue]

SET_LIMIT: Final = 200
SEED_LIMIT: Final = SET_LIMIT // 2
VALUE_LENGTH: Final = 128
WHOLE_SET: Final = "attribute_set"
DEFAULT_CAP: Final = 20
CAPS: Final[Mapping[str, int]] = {
    sc.CHANNEL: 10,
    sc.INTENT_NAME: 50,
    sc.TELEMETRY_COMPONENT: 40,
}
CLOSED: Final[Mapping[str, tuple[AttributeValue, ...]]] = {
    sc.STATUS: (sc.STATUS_OK, sc.STATUS_ERROR, sc.STATUS_CANCELLED),
    sc.TOKEN_TYPE: sc.TOKEN_TYPES,
    sc.TOKEN_MODALITY: (sc.MODALITY_UNKNOWN,),
    sc.COST_SOURCE: sc.COST_SOURCES,
    sc.FALLBACK: (True, False),
    sc.OUTCOME: sc.OUTCOMES,
    sc.WORKFLOW_STATUS: sc.WORKFLOW_STATUSES,
    sc.TELEMETRY_SIGNAL: sc.SIGNALS,
    sc.OPERATION_NAME: (
        sc.OPERATION_CHAT,
        sc.OPERATION_EXECUTE_TOOL,
        sc.OPERATION_INVOKE_AGENT,
        sc.OPERATION_INVOKE_WORKFLOW,
        sc.OPERATION_RETRIEVAL,
    ),
}
"""Attributes that are a closed set of values, and so need no cap."""


class Kind(Enum):
    """How an instrument aggregates."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    UP_DOWN = "observable up-down counter"
    OBSERVABLE_COUNTER = "observable counter"
    GAUGE = "observable gauge"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One line of the table.

    Args:
        name: The OTel name.
        kind: How it aggregates.
        unit: UCUM unit.
        description: What it says, in a line.
        when: When it is recorded.
        attributes: The attributes its series carry.
        bounds: Upper bounds of a histogram's buckets.
        former: The histogram that it replaces; until the next release that one is recorded too.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    when: str
    attributes: tuple[str, ...]
    bounds: tuple[float, ...] | None = None
    former: str | None = None


SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0)
TURN_SECONDS: Final = (*SECONDS, 60.0, 120.0)
CONVERSATION_SECONDS: Final = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)
COUNTS: Final = (1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0)
DOLLARS: Final = (
    *(float(f"{step}e{power}") for power in range(-4, 1) for step in (1, 2, 5)),
    10.0,
)
RATIOS: Final = tuple(i / 20 for i in range(21))
TOKENS: Final = tuple(float(4**i) for i in range(14))
CALL_SECONDS: Final = tuple(0.01 * 2**i for i in range(14))
AGENT_SECONDS: Final = tuple(0.1 * 2**i for i in range(13))
WORKFLOW_SECONDS: Final = (
    1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0,
)  # fmt: skip
CALLS: Final = tuple(float(2**i) for i in range(8))

_AGENT = (sc.AGENT_NAME, sc.CHANNEL)
_MODEL = (*_AGENT, sc.REQUEST_MODEL)
_CALL = (sc.OPERATION_NAME, sc.PROVIDER_NAME, sc.REQUEST_MODEL)
_C, _H = Kind.COUNTER, Kind.HISTOGRAM

TABLE: Final[tuple[Instrument, ...]] = (
    Instrument(
        sc.METRIC_TURN_DURATION,
        _H,
        "s",
        "Duration of turns",
        "when a turn ends",
        (*_MODEL, sc.STATUS),
        TURN_SECONDS,
    ),
    Instrument(
        sc.METRIC_TURN_ERRORS,
        _C,
        "{turn}",
        "Turns that failed",
        "when a turn ends with an error",
        (*_AGENT, sc.ERROR_TYPE),
    ),
    Instrument(
        sc.METRIC_TURN_ACTIVE,
        Kind.UP_DOWN,
        "{turn}",
        "Turns running now",
        "whenever metrics are read",
        _AGENT,
    ),
    Instrument(
        sc.METRIC_TURN_OLDEST,
        Kind.GAUGE,
        "s",
        "Age of the turn that has been running for longest",
        "whenever metrics are read",
        _AGENT,
    ),
    Instrument(
        sc.METRIC_TIME_TO_FIRST_CHUNK,
        _H,
        "s",
        "Time to the first chunk of a reply",
        "when a streamed turn ends",
        _MODEL,
        TURN_SECONDS,
    ),
    Instrument(
        sc.METRIC_TURN_TOKENS,
        _H,
        "{token}",
        "Tokens of turns",
        "when a turn ends whose tokens are known",
        (*_MODEL, sc.TOKEN_TYPE),
        TOKENS,
    ),
    Instrument(
        sc.METRIC_TURN_COST,
        _H,
        "{USD}",
        "Cost of priced turns",
        "when a turn ends that has a price",
        (*_MODEL, sc.COST_SOURCE),
        DOLLARS,
    ),
    Instrument(
        sc.METRIC_TURN_UNPRICED,
        _C,
        "{turn}",
        "Turns whose cost nobody knows",
        "when a turn ends that has tokens and no price",
        (sc.AGENT_NAME, sc.REQUEST_MODEL),
    ),
    Instrument(
        sc.METRIC_TURN_CONFIDENCE,
        _H,
        "1",
        "Confidence of turns",
        "when a turn ends that has a confidence",
        _AGENT,
        RATIOS,
    ),
    Instrument(
        sc.METRIC_LOW_CONFIDENCE,
        _C,
        "{turn}",
        "Turns below the threshold",
        "when a turn ends below `low_confidence`",
        _AGENT,
    ),
    Instrument(
        sc.METRIC_INTENTS,
        _C,
        "{classification}",
        "Intents recognised",
        "when an intent is reported",
        (*_AGENT, sc.INTENT_NAME, sc.FALLBACK),
    ),
    Instrument(
        sc.METRIC_HANDOFFS,
        _C,
        "{handoff}",
        "Handoffs requested",
        "when a handoff is requested",
        (*_AGENT, sc.HANDOFF_REASON, sc.HANDOFF_TARGET),
    ),
    Instrument(
        sc.METRIC_CONVERSATION_ACTIVE,
        Kind.UP_DOWN,
        "{conversation}",
        "Conversations this process sees as open",
        "whenever metrics are read",
        _AGENT,
    ),
    Instrument(
        sc.METRIC_CONVERSATION_ENDED,
        _C,
        "{conversation}",
        "Conversations ended",
        "when a conversation ends",
        (*_AGENT, sc.OUTCOME),
    ),
    Instrument(
        sc.METRIC_CONVERSATION_DURATION,
        _H,
        "s",
        "Duration of ended conversations",
        "when a conversation ends",
        (*_AGENT, sc.OUTCOME),
        CONVERSATION_SECONDS,
    ),
    Instrument(
        sc.METRIC_CONVERSATION_TURNS,
        _H,
        "{turn}",
        "Turns of ended conversations",
        "when a conversation ends",
        (*_AGENT, sc.OUTCOME),
        COUNTS,
    ),
    Instrument(
        sc.METRIC_FEEDBACK_SCORE,
        _H,
        "1",
        "Scores of feedback and evaluations",
        "when feedback or an evaluation has a score",
        (sc.AGENT_NAME, sc.EVALUATION_NAME),
        RATIOS,
    ),
    Instrument(
        sc.METRIC_ACTIONS,
        _C,
        "{action}",
        "Actions taken",
        "when an action is reported",
        (sc.AGENT_NAME, sc.ACTION_TYPE),
    ),
    Instrument(
        sc.METRIC_EXPOSURES,
        _C,
        "{exposure}",
        "Variants of A/B tests that were shown",
        "when a variant is dealt",
        (sc.AGENT_NAME, sc.VARIANT),
    ),
    Instrument(
        sc.METRIC_WORKFLOWS,
        _C,
        "{workflow}",
        "Workflow steps by status",
        "when a step of a workflow is reported",
        (sc.AGENT_NAME, sc.WORKFLOW_NAME, sc.WORKFLOW_STATUS),
    ),
    Instrument(
        sc.METRIC_INFERENCE_DURATION,
        _H,
        "s",
        "Duration of model calls",
        "when a model call ends",
        (*_CALL, sc.ERROR_TYPE),
        CALL_SECONDS,
        former=sc.METRIC_CLIENT_OPERATION_DURATION,
    ),
    Instrument(
        sc.METRIC_CLIENT_OPERATION_DURATION,
        _H,
        "s",
        "Duration of model calls, by its former name",
        "when a model call ends, unless `latest_names` is set",
        (*_CALL, sc.ERROR_TYPE),
        CALL_SECONDS,
    ),
    Instrument(
        sc.METRIC_INFERENCE_FIRST_CHUNK,
        _H,
        "s",
        "Time to the first chunk of a model's answer",
        "when a streamed model call ends",
        _CALL,
        CALL_SECONDS,
    ),
    *(
        Instrument(
            name,
            _H,
            "{token}",
            f"{kind} tokens of a model call",
            "when a model call ends well whose tokens are known",
            _CALL,
            TOKENS,
        )
        for name, kind in (
            (sc.METRIC_INFERENCE_INPUT_TOKENS, "Input"),
            (sc.METRIC_INFERENCE_OUTPUT_TOKENS, "Output"),
        )
    ),
    *(
        Instrument(
            name,
            _C,
            "{token}",
            f"{kind} of model calls",
            "when a model call ends whose tokens are known",
            (*_CALL, sc.TOKEN_MODALITY),
        )
        for name, kind in (
            (sc.METRIC_USAGE_INPUT, "Input tokens"),
            (sc.METRIC_USAGE_OUTPUT, "Output tokens"),
            (sc.METRIC_USAGE_CACHE_READ, "Input tokens read from a cache"),
            (sc.METRIC_USAGE_CACHE_WRITE, "Input tokens written to a cache"),
            (sc.METRIC_USAGE_REASONING, "Output tokens spent on reasoning"),
        )
    ),
    Instrument(
        sc.METRIC_INVOKE_AGENT_DURATION,
        _H,
        "s",
        "Duration of an agent's turns, nested ones too",
        "when a turn ends",
        (sc.AGENT_NAME, sc.ERROR_TYPE),
        AGENT_SECONDS,
    ),
    *(
        Instrument(
            name,
            _H,
            unit,
            f"{kind} calls of an agent's turn, those of agents inside it left out",
            "when a turn ends in which a call was seen",
            (sc.AGENT_NAME,),
            CALLS,
        )
        for name, unit, kind in (
            (sc.METRIC_INVOKE_AGENT_INFERENCE_CALLS, "{inference_call}", "Model"),
            (sc.METRIC_INVOKE_AGENT_TOOL_CALLS, "{tool_call}", "Tool"),
        )
    ),
    Instrument(
        sc.METRIC_INVOKE_WORKFLOW_DURATION,
        _H,
        "s",
        "Duration of workflows",
        "when a workflow ends",
        (sc.WORKFLOW_GEN_AI_NAME, sc.ERROR_TYPE),
        WORKFLOW_SECONDS,
    ),
    Instrument(
        sc.METRIC_EXECUTE_TOOL_DURATION,
        _H,
        "s",
        "Duration of tool calls",
        "when a tool ends",
        (sc.OPERATION_NAME, sc.TOOL_NAME, sc.ERROR_TYPE),
        CALL_SECONDS,
    ),
    Instrument(
        sc.METRIC_TELEMETRY_ERRORS,
        _C,
        "{error}",
        "Errors of the instrumentation itself",
        "when an error of the library itself is caught",
        (sc.TELEMETRY_COMPONENT,),
    ),
    Instrument(
        sc.METRIC_TELEMETRY_DROPPED,
        _C,
        "{item}",
        "Telemetry that was not sent",
        "when something is not queued or not sent",
        (sc.TELEMETRY_SIGNAL,),
    ),
    Instrument(
        sc.METRIC_CAPPED_ATTRIBUTES,
        _C,
        "{value}",
        "Attribute values folded into _other",
        "when an attribute has a value too many",
        (sc.TELEMETRY_ATTRIBUTE,),
    ),
    Instrument(
        sc.METRIC_PROCESS_MEMORY,
        Kind.UP_DOWN,
        "By",
        "Resident memory",
        "whenever metrics are read",
        (),
    ),
    Instrument(
        sc.METRIC_PROCESS_CPU_TIME,
        Kind.OBSERVABLE_COUNTER,
        "s",
        "Processor time used",
        "whenever metrics are read",
        (sc.CPU_MODE,),
    ),
    Instrument(
        sc.METRIC_PROCESS_THREADS,
        Kind.UP_DOWN,
        "{thread}",
        "Threads",
        "whenever metrics are read",
        (),
    ),
)
"""The one table of instruments."""

BY_NAME: Final[Mapping[str, Instrument]] = {line.name: line for line in TABLE}


class Folding:
    """Keeps known values of every open attribute, then the first; folds the rest into `_other`.

    Example:
        >>> folding = Folding()
        >>> names = [folding.fold(sc.CHANNEL, f"c{i}") for i in range(12)]
        >>> names[9:], folding.counts[sc.CHANNEL]
        (['c9', '_other', '_other'], 2)
    """

    def __init__(self) -> None:
        self._kept: dict[str, set[str]] = {}
        self.counts: dict[str, int] = {}

    def fold(self, attribute: str, value: AttributeValue) -> AttributeValue:
        """The value that may stand on a metric; `_other` and a count where there are too many."""
        if attribute in CLOSED:
            return value if value in CLOSED[attribute] else self._other(attribute)
        text = str(value)[:VALUE_LENGTH]
        kept = self._kept.setdefault(attribute, set())
        if text not in kept:
            if len(kept) >= CAPS.get(attribute, DEFAULT_CAP):
                return self._other(attribute)
            kept.add(text)
        return text

    def keep(self, attribute: str, values: Iterable[AttributeValue]) -> None:
        """Keeps room for values that will occur, the first of them where there are too many."""
        kept = self._kept.setdefault(attribute, set())
        room = CAPS.get(attribute, DEFAULT_CAP) - len(kept)
        new = dict.fromkeys(text for v in values if (text := str(v)[:VALUE_LENGTH]) not in kept)
        kept.update(itertools.islice(new, max(room, 0)))

    def whole_set(self) -> str:
        """Counts an attribute set that is one too many for its instrument."""
        return self._other(WHOLE_SET)

    def take(self) -> dict[str, int]:
        """The counts since the last call."""
        counts, self.counts = self.counts, {}
        return counts

    def _other(self, attribute: str) -> str:
        self.counts[attribute] = self.counts.get(attribute, 0) + 1
        return sc.OTHER


class Series:
    """One attribute set of one instrument, with what was counted of it in this round."""

    __slots__ = ("amount", "attributes", "exemplar")

    def __init__(self, attributes: dict[str, AttributeValue]) -> None:
        self.attributes = attributes
        self.amount = 0
        self.exemplar: Context | None = None


class Sets:
    """The attribute sets of one instrument, by the values of its attributes."""

    __slots__ = ("by_values", "keys", "rest")

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = keys
        self.by_values: dict[tuple[AttributeValue | None, ...], Series] = {}
        self.rest = Series(dict.fromkeys(keys, sc.OTHER))


class Instruments:
    """The instruments of one meter, made when first used; called from one thread at a time.

    Args:
        meter: Where they are made.
        latest: Leaves former names of the conventions out.
    """

    def __init__(self, meter: Meter, *, latest: bool = False) -> None:
        self._meter = meter
        self._former = {} if latest else {line.name: line.former for line in TABLE if line.former}
        self.folding = Folding()
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._sets = {line.name: Sets(line.attributes) for line in TABLE}
        self._tallied: list[tuple[str, Series]] = []

    def add(self, name: str, amount: float, attributes: Attributes, context: Context) -> None:
        """Adds to a counter of the table."""
        self._counter(name).add(amount, self._series(name, attributes).attributes, context)

    def tally(
        self, name: str, attributes: Attributes, exemplar: Context | None = None, amount: int = 1
    ) -> None:
        """Counts with a counter of the table; `settle` adds all of a round at once.

        Args:
            name: The counter's.
            attributes: What is known.
            exemplar: Holds the span that may be an exemplar; the last one given is.
            amount: How many.
        """
        series = self._series(name, attributes)
        if not series.amount:
            self._tallied.append((name, series))
        series.amount += amount
        if exemplar is not None:
            series.exemplar = exemplar

    def settle(self, context: Context) -> None:
        """Adds what was tallied.

        Args:
            context: A context without a span.
        """
        tallied, self._tallied = self._tallied, []
        for name, series in tallied:
            amount, exemplar = series.amount, series.exemplar
            series.amount, series.exemplar = 0, None
            add = self._counter(name).add
            if exemplar is not None:
                # An exemplar's value is that of one turn, not of the round
                add(1, series.attributes, exemplar)
                amount -= 1
            if amount:
                add(amount, series.attributes, context)

    def forget(self) -> None:
        """Drops what was tallied, in the child of a fork: it is the parent's to add."""
        for _, series in self._tallied:
            series.amount, series.exemplar = 0, None
        self._tallied = []

    def _counter(self, name: str) -> Counter:
        counter = self._counters.get(name)
        if counter is None:
            line = BY_NAME[name]
            counter = self._meter.create_counter(name, line.unit, line.description)
            self._counters[name] = counter
        return counter

    def record(self, name: str, value: float, attributes: Attributes, context: Context) -> None:
        """Records into a histogram of the table, and into the one that it replaces."""
        former = self._former.get(name)
        if former is not None:
            self.record(former, value, attributes, context)
        histogram = self._histograms.get(name)
        if histogram is None:
            line = BY_NAME[name]
            histogram = self._meter.create_histogram(
                name,
                line.unit,
                line.description,
                explicit_bucket_boundaries_advisory=line.bounds,
            )
            self._histograms[name] = histogram
        histogram.record(value, self._series(name, attributes).attributes, context)

    def observe(self, name: str, read: Callable[[], Mapping[tuple[str, ...], float]]) -> None:
        """Makes an observable instrument.

        Args:
            name: One of the table.
            read: Gives values by attribute values in the order of the table, '' for an unknown one.
        """
        line = BY_NAME[name]
        meter = self._meter
        create = {
            Kind.OBSERVABLE_COUNTER: meter.create_observable_counter,
            Kind.UP_DOWN: meter.create_observable_up_down_counter,
            Kind.GAUGE: meter.create_observable_gauge,
        }[line.kind]
        # Of series that are folded into one: the sum of amounts, the greatest of gauges
        joined = max if line.kind is Kind.GAUGE else operator.add

        def callback(_: CallbackOptions) -> Iterable[Observation]:
            found: dict[tuple[tuple[str, AttributeValue], ...], float] = {}
            for values, amount in read().items():
                given = {k: v or None for k, v in zip(line.attributes, values, strict=True)}
                key = tuple(self._series(name, given).attributes.items())
                found[key] = joined(found[key], amount) if key in found else amount
            return [Observation(amount, dict(key)) for key, amount in found.items()]

        create(name, [callback], line.unit, line.description)

    def seed(self, known: Mapping[str, Iterable[AttributeValue]], context: Context) -> None:
        """Keeps names for known values, and starts at 0 the counters whose attributes all are.

        Args:
            known: Attribute to the values that will occur; closed sets need not be named.
            context: A context without a span.
        """
        values = {**CLOSED, **{k: tuple(v) for k, v in known.items()}}
        for attribute, given in values.items():
            if attribute not in CLOSED:
                self.folding.keep(attribute, given)
        for line in TABLE:
            if line.kind is not Kind.COUNTER or not all(values.get(k) for k in line.attributes):
                continue
            combined = itertools.product(*(values[k] for k in line.attributes))
            for chosen in itertools.islice(combined, SEED_LIMIT):
                self.add(line.name, 0, dict(zip(line.attributes, chosen, strict=True)), context)

    def _series(self, name: str, attributes: Attributes) -> Series:
        """The series, its attributes capped; an absent or empty one is left out."""
        sets = self._sets[name]
        given = tuple(map(attributes.get, sets.keys))
        try:
            found = sets.by_values.get(given)  # type: ignore[arg-type] # of any type: then none
        except TypeError:
            found = None
        return self._folded(sets, given) if found is None else found

    def _folded(self, sets: Sets, given: tuple[AnyValue, ...]) -> Series:
        fold = self.folding.fold
        chosen = tuple(
            fold(k, v) if isinstance(v, str | bool) and v != "" else None
            for k, v in zip(sets.keys, given, strict=True)
        )
        found = sets.by_values.get(chosen)
        if found is None:
            if len(sets.by_values) >= SET_LIMIT - 1:
                self.folding.whole_set()
                return sets.rest
            found = Series({k: v for k, v in zip(sets.keys, chosen, strict=True) if v is not None})
            sets.by_values[chosen] = found
        return found
