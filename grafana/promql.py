"""Expressions of the dashboards: each says over which time it looks, and never averages quantiles.

Totals of the chosen time are instant queries over `$__range`, bars count per `$__interval`; both
are `anchored`, so that the first count of a new series is not missed and no count is extrapolated.
Courses are rates over `$__rate_interval`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from grafana import names
from otel_chat._telemetry.instruments import BY_NAME, Kind
from prometheus.names import Metric, counter, gauge, histogram

RANGE: Final = "$__range"
STEP: Final = "$__interval"
RATE: Final = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Scope:
    """The variables that a dashboard offers.

    Args:
        variables: Names out of `names.VARIABLES`.
    """

    variables: tuple[str, ...]

    def count(self, name: str) -> Metric:
        """The counts of an instrument of the application: a counter, or a histogram's count."""
        if BY_NAME[name].kind is Kind.HISTOGRAM:
            return self.of(histogram(name, "count"))
        return self.of(counter(name))

    def sum(self, name: str) -> Metric:
        """The sums of a histogram of the application."""
        return self.of(histogram(name, "sum"))

    def buckets(self, name: str) -> Metric:
        """The buckets of a histogram of the application."""
        return self.of(histogram(name, "bucket"))

    def by_version(self, metric: Metric) -> Metric:
        """A metric of the application, of whose processes the version is told."""
        versioned = replace(metric, labels=metric.labels | {names.VERSION})
        if versioned.former:
            versioned = replace(versioned, former=self.by_version(versioned.former))
        return versioned.where(names.VERSION, "", "!=")

    def gauge(self, name: str) -> Metric:
        """An up-down counter of the application."""
        return self.of(gauge(name))

    def server(self, name: str) -> Metric:
        """A metric that is scraped: of the analytics server, the collector, Prometheus."""
        return self.of(names.scraped(name))

    def recorded(self, name: str) -> Metric:
        """A metric of the recording rules."""
        return self.of(names.recorded(name))

    def of(self, metric: Metric) -> Metric:
        """What the variables choose of a metric."""
        return names.chosen(metric, self.variables)


def _sum(what: str, metric: Metric, by: Sequence[str], function: str = "sum") -> str:
    metric.require(by)
    return f"{function} by ({', '.join(by)}) ({what})" if by else f"{function}({what})"


def grown(metric: Metric, over: str, by: Sequence[str] = ()) -> str:
    """By how much a counter grew.

    Args:
        metric: The counter.
        over: `RANGE` or `STEP`, or a fixed time as `1h`.
        by: The labels to keep.

    Example:
        >>> from otel_chat import semconv as sc
        >>> grown(counter(sc.METRIC_HANDOFFS), RANGE)
        'sum(increase(otel_chat_handoffs_total[$__range] anchored))'
    """
    return _sum(metric.over("increase", f"[{over}] anchored"), metric, by)


def per_second(metric: Metric, by: Sequence[str] = ()) -> str:
    """A counter's rate.

    Args:
        metric: The counter.
        by: The labels to keep.
    """
    return _sum(metric.over("rate", f"[{RATE}]"), metric, by)


def total(metric: Metric, by: Sequence[str] = ()) -> str:
    """The sum of a gauge."""
    return _sum(str(metric), metric, by)


def latest(metric: Metric, by: Sequence[str] = ()) -> str:
    """The greatest of a gauge."""
    return _sum(str(metric), metric, by, "max")


def quantile(share: float, buckets: Metric, over: str, by: Sequence[str] = ()) -> str:
    """A quantile, out of the buckets of all series together.

    Args:
        share: Which, 0 to 1.
        buckets: The histogram's.
        over: `RANGE`, or `RATE` for a course.
        by: The labels to keep.
    """
    labels = ("le", *by)
    if over == RATE:
        return f"histogram_quantile({share:g}, {per_second(buckets, labels)})"
    # Of no turns at all there is no quantile; without the comparison NaN would be shown
    return f"histogram_quantile({share:g}, {grown(buckets, over, labels)}) >= 0"


def ratio(part: str, whole: str) -> str:
    """One amount over another; 0 where there is no part of a whole, nothing where no whole.

    Args:
        part: An expression.
        whole: An expression with the same labels.

    Example:
        >>> ratio("sum(a)", "sum(b)")
        '(sum(a) or sum(b) * 0) / (sum(b) > 0)'
    """
    return f"({of_any(part, whole)}) / ({whole} > 0)"


def of_any(part: str, whole: str) -> str:
    """An amount that is 0 where there is some of the whole, but none of this.

    Args:
        part: An expression.
        whole: An expression with the same labels.
    """
    return f"{part} or {whole} * 0"


def weighted(value: Metric, weight: Metric, by: Sequence[str] = ()) -> str:
    """A mean over series, each with its weight: for ratios of parts of a whole.

    Args:
        value: A gauge.
        weight: What each series of it counts; carries at least `value`'s place and window.
        by: The labels to keep.
    """
    place = ", ".join(names.IN_WINDOW)
    weights = _sum(str(weight), weight, names.IN_WINDOW)
    product = f"{value} * on ({place}) group_left () {weights}"
    return f"{_sum(product, value, by)} / ({_sum(str(weight), weight, by)} > 0)"


def a_week_before(expression: str) -> str:
    """What an expression said a week ago; nothing where there were no data then.

    Example:
        >>> a_week_before("sum(up)")
        'last_over_time((sum(up))[2m:1m] offset 1w)'
    """
    return f"last_over_time(({expression})[2m:1m] offset 1w)"


def elsewhere(part: str, own: str) -> str:
    """An amount of all series but each one's own.

    Args:
        part: Of all together.
        own: Of each.

    Example:
        >>> elsewhere("sum(a)", "sum by (b) (a)")
        'sum(a) - on () group_right () (sum by (b) (a))'
    """
    return f"{part} - on () group_right () ({own})"


def named(expression: str, label: str, otherwise: str) -> str:
    """Series, of which the one without a label has a name too.

    Args:
        expression: What has the label, or has not.
        label: The label.
        otherwise: Its value where it is missing.
    """
    return f'label_replace({expression}, "{label}", "{otherwise}", "{label}", "")'


def top(many: int, expression: str) -> str:
    """The greatest ones that are more than nothing, greatest first."""
    return f"sort_desc(topk({many}, {expression} > 0))"
