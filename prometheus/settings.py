"""What the rules depend on: objectives, thresholds, and how long is long."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_UNITS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
DASHBOARDS_URL: Final = "${OTEL_CHAT_GRAFANA_URL:-http://127.0.0.1:3000}"
RUNBOOKS_URL: Final = "${OTEL_CHAT_RUNBOOKS_URL:-http://127.0.0.1:8400/runbooks}"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the rules.

    Args:
        windows_factor: Every window, offset and `for:` times this; below 1 in tests of the whole.
        anchored: Whether `increase(... anchored)` is used, which counts a series' very first
            value; false for engines without extended range selectors, which miss it.
        minimum_turns: Ratios of fewer turns (or of what else they count) say nothing.
        budget_turns: An objective is looked at where its budget of so many turns may be spent:
            of three, an objective of 99 % needs 300 turns.
        response_seconds: A turn that takes longer is slow; a bound of the histogram.
        response_target: The share of turns that must not be slow.
        error_target: The share of turns that must not fail.
        first_chunk_seconds: A first chunk that comes later is late; a bound of the histogram.
        first_chunk_late: The share of late first chunks that is too much.
        bad: The share of turns, slow, failed or cancelled, that somebody must see now.
        bad_least: Fewer turns than this in ten minutes do not say so, nor do fewer bad ones of one
            process.
        stuck_seconds: A turn that runs for longer hangs.
        cancelled: The share of cancelled turns that is too much.
        low_confidence: The share of turns of low confidence that is too much.
        fallback: The share of messages without an intent that is too much.
        handoff_growth: So many times the usual number of handoffs for a reason is a spike.
        handoff_least: Fewer handoffs than this are none.
        conversations: Ratios of fewer settled conversations say nothing.
        containment_fall: Points by which a day's containment may lie below the week's.
        containment_target: The share of settled conversations that must stay with the bot in a
            week; 0 is no objective.
        resolution_target: The share that must be resolved, assumed ones among them; 0 is none.
        csat_target: The share of ratings that must be in the top boxes; 0 is none.
        abandonment: The share of abandoned conversations of a day that is too much.
        ratings: Means of fewer ratings say nothing.
        feedback_fall: Points (of 0 to 1) by which a day's ratings may lie below the week's.
        conversation_usd: Mean cost of a conversation that is too much, USD.
        daily_usd: The budget of a day in an environment, USD.
        budget_share: Of a budget that the analytics server was given, the share that tells.
        token_growth: So many times the usual tokens a turn is a surge.
        unpriced_turns: Unpriced turns of a model in six hours that are too many.
        throttled: The share of model calls refused for their rate that is too much.
        throttled_least: Fewer refused calls than this are none.
        tool_errors: The share of failed calls of a tool that is too much.
        tool_least: Fewer failed calls than this are none.
        expected_turns: So many turns at the same time yesterday and a week ago: then some are
            expected now.
        band: By so much, as a share, the usual extremes must be passed.
        short_lived: Processes that ended within five minutes, in half an hour: more are too many.
        shared: The share of samples at which a process' own counter fell: it is several processes.
        capped_values: Folded attribute values in an hour that are too many.
        queue_filled: The filled share of a sending queue that is too much.
        gauges_seconds: Figures of whole conversations that are older stand still.
        server_job: The analytics server's job in Prometheus' configuration.
        collector_job: The collector's.
        prometheus_job: Prometheus' own.
        alertmanager_job: Alertmanager's.
        dashboards_url: Grafana.
        runbooks_url: The folder of the runbooks.
    """

    windows_factor: float = 1.0
    anchored: bool = True
    minimum_turns: int = 30
    budget_turns: int = 3
    response_seconds: float = 5.0
    response_target: float = 0.95
    error_target: float = 0.99
    first_chunk_seconds: float = 3.0
    first_chunk_late: float = 0.1
    bad: float = 0.5
    bad_least: int = 10
    stuck_seconds: float = 900.0
    cancelled: float = 0.15
    low_confidence: float = 0.4
    fallback: float = 0.25
    handoff_growth: float = 3.0
    handoff_least: int = 5
    conversations: int = 50
    containment_fall: float = 0.1
    containment_target: float = 0.0
    resolution_target: float = 0.0
    csat_target: float = 0.0
    abandonment: float = 0.4
    ratings: int = 20
    feedback_fall: float = 0.1
    conversation_usd: float = 0.5
    daily_usd: float = 100.0
    budget_share: float = 1.0
    token_growth: float = 2.0
    unpriced_turns: int = 5
    throttled: float = 0.05
    throttled_least: int = 5
    tool_errors: float = 0.1
    tool_least: int = 5
    expected_turns: int = 20
    band: float = 0.5
    short_lived: int = 5
    shared: float = 0.2
    capped_values: int = 10
    queue_filled: float = 0.5
    gauges_seconds: float = 1800.0
    server_job: str = "otel-chat-server"
    collector_job: str = "otel-collector"
    prometheus_job: str = "prometheus"
    alertmanager_job: str = "alertmanager"
    dashboards_url: str = DASHBOARDS_URL
    runbooks_url: str = RUNBOOKS_URL

    def enough(self, target: float) -> int:
        """How many turns it takes until an objective can be judged.

        Example:
            >>> Settings().enough(0.99), Settings().enough(0.95)
            (300, 60)
        """
        return max(self.minimum_turns, round(self.budget_turns / (1 - target)))

    def time(self, nominal: str) -> str:
        """A duration as it stands in the rules.

        Args:
            nominal: Such as `90s`, `5m` or `1d`.

        Raises:
            ValueError: it is no duration.

        Example:
            >>> Settings(windows_factor=0.01).time("5m"), Settings().time("1d")
            ('3s', '1d')
        """
        return text_of(self.milliseconds(nominal))

    def milliseconds(self, nominal: str) -> int:
        """A duration in milliseconds, at least one."""
        if not re.fullmatch(r"(\d+(ms|[dhms]))+", nominal):
            raise ValueError(f"{nominal!r} is no duration.")
        parts = re.findall(r"(\d+)(ms|[dhms])", nominal)
        total = sum(int(many) * _UNITS[unit] for many, unit in parts)
        return max(1, round(total * self.windows_factor))


def text_of(milliseconds: int) -> str:
    """A duration as Prometheus reads it.

    Example:
        >>> text_of(5_400_000)
        '1h30m'
    """
    text = ""
    for unit, size in _UNITS.items():
        many, milliseconds = divmod(milliseconds, size)
        text += f"{many}{unit}" if many else ""
    return text or "0s"
