"""The cards of the overview: each headline figure with its change, its course and its sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from otel_chat.server.pages import formats
from otel_chat.server.pages.charts import sparkline
from otel_chat.server.pages.overview import Card, meanings, trend, whole

if TYPE_CHECKING:
    from otel_chat.server.questions.overview import Overview, Point, Series


def _line(points: Sequence[Point], read: Callable[[Point], float | None]) -> str:
    return sparkline([read(point) for point in points])


def cards(overview: Overview, series: Series) -> list[Card]:
    """The headline figures, in the order of the page."""
    return [
        *_outcome(overview, series.points),
        *_spending(overview, series.points),
        *_volume(overview, series.points),
    ]


def _volume(o: Overview, points: Sequence[Point]) -> list[Card]:
    failed, time = o.errors.turns, o.response_time
    return [
        Card(
            key="conversations",
            label="Conversations",
            value=formats.compact(o.conversations),
            note=f"{o.engagement.turns:.1f} turns each"
            if o.engagement.turns is not None
            else "none yet",
            sample=f"{formats.count(o.containment.settled)} settled",
            meanings=meanings("conversations", "mean_length_turns", "settled_conversations"),
            trend=trend(o.changes["conversations"], whole, better="neither"),
            line=_line(points, lambda p: p.conversations),
        ),
        Card(
            key="active",
            label="Active now",
            value=formats.compact(o.active_conversations),
            note="open conversations",
            sample=f"of {formats.count(o.conversations)}",
            meanings=meanings("active_conversations", "open_conversations"),
            line=_line(points, lambda p: p.active_conversations),
        ),
        Card(
            key="turns",
            label="Turns",
            value=formats.compact(o.turns),
            note=f"{formats.count(failed)} failed ({formats.percent(o.errors.rate)})"
            if failed
            else ("none failed" if o.turns else "none yet"),
            sample=formats.plural(o.messages, "message"),
            meanings=meanings("turns", "failed_turns", "messages"),
            trend=trend(o.changes["turns"], whole, better="neither"),
            line=_line(points, lambda p: p.turns),
            alarm=failed > 0,
        ),
        Card(
            key="response-time",
            label="Response time",
            value=formats.duration(time.p50),
            note=f"median · p95 {formats.duration(time.p95)}" if time.count else "median",
            sample=formats.plural(time.count, "answered turn"),
            meanings=[
                *meanings("response_time", "turns_without_reply", "time_to_first_chunk"),
                ("Median, p95", "Half of the turns, and 95 % of them, took no longer."),
            ],
            trend=trend(
                o.changes["response_time_p95"], formats.duration, better="down", subject="p95 "
            ),
            line=_line(points, lambda p: p.response_time.p50),
        ),
    ]


def _outcome(o: Overview, points: Sequence[Point]) -> list[Card]:
    rated, resolution = o.satisfaction, o.resolution
    return [
        Card(
            key="containment",
            label="Containment",
            value=formats.percent(o.containment.rate),
            note="settled without a human",
            sample=f"of {formats.count(o.containment.settled)}",
            meanings=meanings("containment_ratio", "settled_conversations"),
            trend=trend(o.changes["containment"], formats.percent, better="up", ratio=True),
            line=_line(points, lambda p: p.containment.rate),
        ),
        Card(
            key="resolution",
            label="Resolution",
            value=formats.percent(resolution.high),
            note=f"{formats.percent(resolution.low)} confirmed"
            if resolution.low is not None
            else "none settled",
            sample=f"of {formats.count(resolution.settled)}",
            meanings=meanings(
                "resolution_ratio_high", "resolution_ratio_low", "confirmed_resolutions"
            ),
            trend=trend(o.changes["resolution_high"], formats.percent, better="up", ratio=True),
            line=_line(points, lambda p: p.resolution.high),
        ),
        Card(
            key="handoffs",
            label="Handoffs",
            value=formats.percent(o.handoffs.rate),
            note=formats.plural(o.handoffs.conversations, "conversation"),
            sample=f"of {formats.count(o.containment.settled)}",
            meanings=meanings("handoff_ratio", "handoff_conversations"),
            trend=trend(o.changes["handoffs"], formats.percent, better="down", ratio=True),
            line=_line(points, lambda p: p.handoffs.rate),
        ),
        Card(
            key="satisfaction",
            label="Satisfaction",
            value=formats.percent(rated.mean),
            note=f"mean rating {rated.original_mean:.1f}"
            if rated.original_mean is not None
            else ("on several scales" if rated.count else "no ratings"),
            sample=formats.plural(rated.count, "rating"),
            meanings=meanings("csat_ratio", "csat_original_mean"),
            trend=trend(o.changes["satisfaction"], formats.percent, better="up", ratio=True),
            line=_line(points, lambda p: p.satisfaction.mean),
        ),
    ]


def _spending(o: Overview, points: Sequence[Point]) -> list[Card]:
    tokens, cost, confidence = o.tokens, o.cost, o.confidence
    return [
        Card(
            key="confidence",
            label="Confidence",
            value=formats.score(confidence.mean),
            note=f"{formats.percent(confidence.low_rate)} unsure (below {confidence.threshold:g})"
            if confidence.count
            else "mean",
            sample=formats.plural(confidence.count, "turn"),
            meanings=meanings("mean_confidence", "low_confidence_ratio"),
            trend=trend(o.changes["confidence"], formats.score, better="up"),
            line=_line(points, lambda p: p.confidence.mean),
        ),
        Card(
            key="engagement",
            label="Engagement",
            value=whole(o.engagement.score),
            note="of 100, mean score",
            sample=formats.plural(o.conversations, "conversation"),
            meanings=meanings("engagement_score"),
            trend=trend(o.changes["engagement"], whole, better="up"),
            line=_line(points, lambda p: p.engagement.score),
        ),
        Card(
            key="tokens",
            label="Tokens",
            value=formats.compact(tokens.total),
            note=f"{formats.compact(tokens.input)} in · {formats.compact(tokens.output)} out"
            if tokens.total is not None
            else "none reported",
            sample=formats.plural(tokens.turns, "turn"),
            meanings=meanings("total_tokens", "input_tokens", "output_tokens"),
            trend=trend(o.changes["tokens"], whole, better="neither"),
            line=_line(points, lambda p: p.tokens.total),
        ),
        Card(
            key="cost",
            label="Cost",
            value=formats.money(cost.amount),
            note=f"{formats.plural(cost.unpriced_turns, 'turn')} without a price"
            if cost.unpriced_turns
            else ("of models" if cost.priced_turns else "no model with a price"),
            sample=f"{formats.plural(cost.priced_turns, 'turn')} priced",
            meanings=meanings("cost", "unpriced_turns"),
            trend=trend(o.changes["cost"], formats.money, better="neither"),
            line=_line(points, lambda p: None if p.cost.amount is None else float(p.cost.amount)),
        ),
    ]
