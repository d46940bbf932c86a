"""Figures of whole conversations as gauges for Prometheus, worked out aside from its scrapes."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from otel_chat import semconv
from otel_chat.errors import OtelChatError
from otel_chat.server.access import ANALYTICS_VIEW, CONVERSATIONS_READ, METRICS_READ, Scope
from otel_chat.server.day_gauges import Days, day_gauges
from otel_chat.server.figures.conversation_figures import RESOLVED_HIGH, RESOLVED_LOW
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.registry import Quotient, every
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.budgets import Spending, spendings
from otel_chat.server.questions.gauges import Counts, Place, counts, joined
from otel_chat.server.segments import key_of, readable, watched_segments

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from otel_chat.server.questions.segments import Segment
    from otel_chat.server.settings import ServerSettings
    from otel_chat.server.store import Store

_log = logging.getLogger("otel_chat.server")

WINDOWS: Final = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
LONGEST: Final = "7d"
AGENTS: Final = 20
CHANNELS: Final = 10
NAMES: Final = 10
OTHER: Final = "_other"
EVERY: Final = Scope(tenants=None, permissions=frozenset({METRICS_READ, ANALYTICS_VIEW}))
PLACE: Final = ("agent", "channel")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was counted at one moment.

    Args:
        taken: When, in seconds since 1970.
        windows: The counts of each window by place.
        budgets: What has been spent of each budget.
        segments: The counts of each window by watched segment: its tenant and its name.
    """

    taken: float
    windows: Mapping[str, Mapping[Place, Counts]]
    budgets: Sequence[Spending] = ()
    segments: Mapping[str, Mapping[tuple[str, str], Counts]] = field(default_factory=dict)


@dataclass(slots=True)
class Gauges:
    """The counts as of now.

    Args:
        store: The store to ask.
        settings: What the figures depend on.
        as_of: Up to when what was stored is in the conversations' rows; nothing while unknown.
    """

    store: Store
    settings: ServerSettings
    snapshot: Snapshot | None = None
    failures: int = 0
    as_of: Callable[[], datetime | None] | None = None
    days: Days = field(init=False)

    def __post_init__(self) -> None:
        self.days = Days(self.store, EVERY, self.as_of)

    def refresh(self, now: datetime | None = None) -> None:
        """Counts once; keeps what was there before if the store fails.

        Args:
            now: The present time.
        """
        moment = now or datetime.now(UTC)
        idle = timedelta(seconds=self.settings.idle_seconds)
        try:
            windows = {
                name: Window(moment - length, moment, moment, idle)
                for name, length in WINDOWS.items()
            }
            found = {name: counts(self.store, EVERY, one) for name, one in windows.items()}
            watched = [one for one in watched_segments(self.store) if readable(one)]
            of_segments = {
                name: {key_of(one): _of_segment(self.store, one, window) for one in watched}
                for name, window in windows.items()
            }
            spent = spendings(self.store, EVERY, moment, self.settings.budgets)
        except OtelChatError as error:
            self.failures += 1
            if self.failures == 1 or self.snapshot is not None:
                _log.warning("The gauges for Prometheus could not be worked out: %s", error)
            self.snapshot = None
        else:
            self.snapshot = Snapshot(time.time(), found, spent, of_segments)
        try:
            self.days.refresh(moment, idle)
        except OtelChatError as error:
            self.failures += 1
            _log.warning("The last day could not be set beside those before: %s", error)


def _of_segment(store: Store, one: Segment, window: Window) -> Counts:
    """The counts of a segment, in its tenant."""
    may = {CONVERSATIONS_READ} if one.texts else set()
    scope = Scope(frozenset({one.tenant}), EVERY.permissions | may)
    return joined(counts(store, scope, window, Filters(where=one.where)).values())


class GaugeCollector(Collector):
    """The gauges as far as a scope reaches.

    Args:
        gauges: Where the counts are.
        scope: What the scraper may see; the counts of its tenants are added up.
    """

    def __init__(self, gauges: Gauges, scope: Scope) -> None:
        self._gauges = gauges
        self._scope = scope

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is told; of what has no data nothing is said."""
        failures = "Times that the gauges could not be worked out."
        yield CounterMetricFamily(
            "otel_chat_server_gauge_failures", failures, value=self._gauges.failures
        )
        snapshot = self._gauges.snapshot
        if snapshot is None:
            return
        yield GaugeMetricFamily(
            "otel_chat_server_gauges_timestamp_seconds",
            "When the gauges were worked out, in seconds since 1970.",
            value=snapshot.taken,
        )
        shown = {
            name: _seen(found, self._scope.tenants) for name, found in snapshot.windows.items()
        }
        agents, channels = _names(shown[LONGEST])
        folded = {name: _folded(found, agents, channels) for name, found in shown.items()}
        yield from _open(folded[LONGEST])
        yield from _settled(folded)
        yield from _quotients(folded)
        yield from _amounts(folded, self._gauges.settings.cost_per_interaction)
        yield from _counted(folded)
        for gauge in _BY_NAME:
            yield _named(folded, gauge)
        yield _hours(folded[LONGEST])
        yield from _segments(
            {
                window: {key: one for key, one in found.items() if self._scope.covers({key[0]})}
                for window, found in snapshot.segments.items()
            }
        )
        rate = self._gauges.settings.false_alarms
        yield from day_gauges(self._gauges.days.last, self._scope.tenants, agents, rate)
        yield from _budgets(
            one for one in snapshot.budgets if one.budget.visible(self._scope.tenants)
        )


ByPlace = dict[tuple[str, str], Counts]
"""Counts by agent and channel."""


def _seen(found: Mapping[Place, Counts], tenants: frozenset[str] | None) -> ByPlace:
    by_place: dict[tuple[str, str], list[Counts]] = {}
    for (tenant, agent, channel), one in found.items():
        if tenants is None or tenant in tenants:
            by_place.setdefault((agent, channel), []).append(one)
    return {place: joined(parts) for place, parts in by_place.items()}


def _names(found: ByPlace) -> tuple[set[str], set[str]]:
    """The agents and channels that are told by name: those with the most conversations."""
    agents: Counter[str] = Counter()
    channels: Counter[str] = Counter()
    for (agent, channel), one in found.items():
        agents[agent] += one["conversations"]
        channels[channel] += one["conversations"]
    return _most(agents, AGENTS), _most(channels, CHANNELS)


def _most(names: Counter[str], many: int) -> set[str]:
    return set(sorted(names, key=lambda name: (-names[name], name))[:many])


def _folded(found: ByPlace, agents: set[str], channels: set[str]) -> ByPlace:
    parts: dict[tuple[str, str], list[Counts]] = {}
    for (agent, channel), one in found.items():
        place = (agent if agent in agents else OTHER, channel if channel in channels else OTHER)
        parts.setdefault(place, []).append(one)
    return {place: joined(together) for place, together in sorted(parts.items())}


def _open(found: ByPlace) -> Iterator[Metric]:
    text = "Conversations that are open: no explicit end, and quiet for less than the idle time."
    gauge = GaugeMetricFamily("otel_chat_conversations_open", text, labels=PLACE)
    for place, one in found.items():
        gauge.add_metric(place, one["outcome_open"])
    yield gauge


def _settled(windows: Mapping[str, ByPlace]) -> Iterator[Metric]:
    gauge = GaugeMetricFamily(
        "otel_chat_conversations_settled",
        "Settled conversations that started in the window, by outcome.",
        labels=(*PLACE, "window", "outcome"),
    )
    for window, found in windows.items():
        for place, one in found.items():
            for outcome in semconv.OUTCOMES:
                if outcome != "open" and one["settled_n"]:
                    gauge.add_metric((*place, window, outcome), one[f"outcome_{outcome}"])
    yield gauge


def _quotients(windows: Mapping[str, ByPlace]) -> Iterator[Metric]:
    labels = (*PLACE, "window")
    for one in every(Quotient):
        if one.gauge:
            gauge = GaugeMetricFamily(one.gauge, one.definition, labels=labels)
            for window, place, found in _each(windows):
                if (value := one.read(found.numbers)) is not None:
                    gauge.add_metric((*place, window), value)
            yield gauge
    resolution = GaugeMetricFamily(
        "otel_chat_resolution_ratio",
        "Resolved ÷ settled conversations: confirmed ones, and with the assumed ones.",
        labels=(*labels, "bound"),
    )
    for window, place, found in _each(windows):
        for bound, one in (("confirmed", RESOLVED_LOW), ("assumed", RESOLVED_HIGH)):
            if (value := one.read(found.numbers)) is not None:
                resolution.add_metric((*place, window, bound), value)
    yield resolution


def _amounts(windows: Mapping[str, ByPlace], price: Decimal | None) -> Iterator[Metric]:
    labels = (*PLACE, "window")
    cost = GaugeMetricFamily("otel_chat_cost_usd", "Cost of the priced turns, USD.", labels=labels)
    savings = GaugeMetricFamily(
        "otel_chat_savings_usd",
        "Contained and resolved conversations × cost of a human interaction - model cost, USD: low"
        " bound with confirmed resolutions only.",
        labels=(*labels, "bound"),
    )
    for window, place, one in _each(windows):
        at = (*place, window)
        if one["priced"]:
            cost.add_metric(at, float(one.cost))
        if price is not None and one["settled_n"]:
            for bound, many in (("low", "contained_confirmed"), ("high", "contained_resolved")):
                saved = one[many] * price - one.settled_cost
                savings.add_metric((*at, bound), float(saved))
    yield from (cost, savings)


def _counted(windows: Mapping[str, ByPlace]) -> Iterator[Metric]:
    for name, text, of in (
        ("conversations_started", "Conversations that started in the window.", "conversations"),
        ("ratings", "Ratings of the conversations that started in the window.", "ratings"),
    ):
        gauge = GaugeMetricFamily(f"otel_chat_{name}", text, labels=(*PLACE, "window"))
        for window, place, one in _each(windows):
            gauge.add_metric((*place, window), one[of])
        yield gauge


@dataclass(frozen=True, slots=True)
class _Named:
    """A gauge with a label of open values, of which the most frequent ones are told."""

    name: str
    text: str
    label: str
    of: str


_BY_NAME: Final = (
    _Named(
        "otel_chat_drop_off_conversations",
        "Settled conversations that ended abandoned or failed, by their last intent.",
        "intent",
        "dropped",
    ),
    _Named(
        "otel_chat_topic_conversations",
        "Conversations that started in the window, by topic.",
        "topic",
        "topics",
    ),
    _Named(
        "otel_chat_user_type_conversations",
        "Conversations that started in the window, by type of user.",
        "user_type",
        "user_types",
    ),
    _Named(
        "otel_chat_sentiment_turns", "Turns of the window by sentiment.", "sentiment", "sentiments"
    ),
    _Named(
        "otel_chat_leads",
        "Leads of the conversations that started in the window, by kind.",
        "kind",
        "leads",
    ),
)


def _named(windows: Mapping[str, ByPlace], of: _Named) -> Metric:
    gauge = GaugeMetricFamily(
        of.name, f"{of.text} The ten most frequent ones.", labels=(*PLACE, "window", of.label)
    )
    every: Counter[str] = Counter()
    for one in windows[LONGEST].values():
        every.update(one.named[of.of])
    most = _most(every, NAMES)
    for window, place, one in _each(windows):
        for name in sorted(most & set(one.named[of.of])):
            gauge.add_metric((*place, window, name), one.named[of.of][name])
    return gauge


def _hours(found: ByPlace) -> Metric:
    gauge = GaugeMetricFamily(
        "otel_chat_hour_conversations",
        "Conversations that started in the last seven days, by hour of the day, UTC.",
        labels=("agent", "hour"),
    )
    by_agent: dict[str, Counter[str]] = {}
    for (agent, _), one in found.items():
        by_agent.setdefault(agent, Counter()).update(one.named["hours"])
    for agent, hours in by_agent.items():
        for hour, many in sorted(hours.items()):
            gauge.add_metric((agent, hour), many)
    return gauge


def _segments(windows: Mapping[str, Mapping[tuple[str, str], Counts]]) -> Iterator[Metric]:
    labels = ("tenant", "segment", "window")
    many = GaugeMetricFamily(
        "otel_chat_segment_conversations",
        "Conversations of a watched segment that started in the window.",
        labels=labels,
    )
    share = GaugeMetricFamily(
        "otel_chat_segment_ratio",
        "A share of a watched segment, by the name of its definition.",
        labels=(*labels, "figure"),
    )
    figures = [one for one in every(Quotient) if one.gauge and one.unit == "1"]
    for window, found in windows.items():
        for key, one in found.items():
            many.add_metric((*key, window), one["conversations"])
            for figure in (*figures, RESOLVED_LOW, RESOLVED_HIGH):
                if (value := figure.read(one.numbers)) is not None:
                    share.add_metric((*key, window, figure.name), value)
    yield from (many, share)


def _budgets(found: Iterable[Spending]) -> Iterator[Metric]:
    labels = ("budget", "period", "agent", "tenant")
    limit = GaugeMetricFamily(
        "otel_chat_budget_usd", "What may be spent in the period, USD.", labels=labels
    )
    spent = GaugeMetricFamily(
        "otel_chat_budget_spent_usd",
        "What was spent since the day or month began, in UTC, USD.",
        labels=labels,
    )
    for one in found:
        budget = one.budget
        at = (budget.name, budget.period, budget.agent or "", budget.tenant or "")
        limit.add_metric(at, float(budget.usd))
        spent.add_metric(at, float(one.spent))
    yield from (limit, spent)


def _each(windows: Mapping[str, ByPlace]) -> Iterator[tuple[str, tuple[str, str], Counts]]:
    for window, found in windows.items():
        for place, one in found.items():
            yield window, place, one
