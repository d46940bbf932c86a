"""The cards of the overview: each headline figure with its change, its course and its sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from otel_chat.server.pages import formats
from otel_chat.server.pages.charts import sparkline
from otel_chat.server.pages.overview import (
    Card,
    Opening,
    meanings,
    opening,
    trend,
)

if TYPE_CHECKING:
    from otel_chat.server.pages.links import View
    from otel_chat.server.questions.clear_changes import ClearChange
    from otel_chat.server.questions.overview import Overview, Point, Series


def _line(points: Sequence[Point], read: Callable[[Point], float | None]) -> str:
    return sparkline([read(point) for point in points])


def cards(
    overview: Overview, series: Series, view: View, tested: Sequence[ClearChange]
) -> list[Card]:
    """The headline figures, in the order of the page.

    Args:
        overview: The figures, beside those of the window before.
        series: Their course.
        view: The filters of the page.
        tested: The changes that were told from chance.
    """
    clear = {one.figure: one.clear for one in tested}
    points = series.points
    return [
        _containment(overview, points, view, clear),
        _resolution(overview, points, view, clear),
        _handoffs(overview, points, view, clear),
        _satisfaction(overview, points, view),
        _confidence(overview, points, view),
        _engagement(overview, points, view),
        _tokens(overview, points, view),
        _cost(overview, points, view),
        _conversations(overview, points, view),
        _active(overview, points, view),
        _turns(overview, points, view),
        _response_time(overview, points, view),
    ]


def _furthest(view: View, sort: str, words: str) -> Opening:
    """The conversations in an order, as what a mean or a sum opens."""
    return Opening(words, view.narrowed("/conversations", sort=sort))


def _conversations(o: Overview, points: Sequence[Point], view: View) -> Card:
    return Card(
        key="conversations",
        label="Conversations",
        value=formats.compact(o.conversations),
        note=f"{o.engagement.turns:.1f} turns each"
        if o.engagement.turns is not None
        else "none yet",
        sample=f"{formats.count(o.containment.settled)} settled",
        meanings=meanings("conversations", "mean_length_turns", "settled_conversations"),
        trend=trend(o.changes["conversations"], formats.whole, better="neither"),
        line=_line(points, lambda p: p.conversations),
        opens=opening(view, o.conversations, ""),
    )


def _active(o: Overview, points: Sequence[Point], view: View) -> Card:
    return Card(
        key="active",
        label="Active now",
        value=formats.compact(o.active_conversations),
        note="open conversations",
        sample=f"of {formats.count(o.conversations)}",
        meanings=meanings("active_conversations", "open_conversations"),
        line=_line(points, lambda p: p.active_conversations),
        opens=opening(view, o.active_conversations, "", outcome="open"),
    )


def _turns(o: Overview, points: Sequence[Point], view: View) -> Card:
    failed = o.errors.turns
    return Card(
        key="turns",
        label="Turns",
        value=formats.compact(o.turns),
        note="" if failed else ("none failed" if o.turns else "none yet"),
        sample=formats.plural(o.messages, "message"),
        meanings=meanings("turns", "failed_turns", "messages"),
        trend=trend(o.changes["turns"], formats.whole, better="neither"),
        line=_line(points, lambda p: p.turns),
        alarm=failed > 0,
        opens=opening(view, o.turns, "", "/turns"),
        parts=[
            opening(
                view,
                failed,
                f"failed ({formats.percent(o.errors.rate)})",
                "/turns",
                failed="true",
            )
        ]
        if failed
        else (),
    )


def _response_time(o: Overview, points: Sequence[Point], view: View) -> Card:
    time = o.response_time
    return Card(
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
        parts=[_furthest(view, "-response", "the slowest")] if time.count else (),
    )


def _containment(
    o: Overview, points: Sequence[Point], view: View, clear: Mapping[str, bool]
) -> Card:
    kept, without = o.containment, {"handoff": "false"}
    return Card(
        key="containment",
        label="Containment",
        value=formats.percent(kept.rate),
        note="settled without a human:",
        sample=f"of {formats.count(kept.settled)}",
        meanings=meanings("containment_ratio", "settled_conversations"),
        trend=trend(
            o.changes["containment"],
            formats.percent,
            better="up",
            ratio=True,
            clear=clear.get("containment_ratio"),
        ),
        line=_line(points, lambda p: p.containment.rate),
        interval=formats.interval(kept.count, kept.settled),
        opens=opening(view, kept.count, "", state="settled", **without),
        parts=[
            opening(
                view,
                kept.parts.confirmed,
                "confirmed",
                outcome="resolved",
                confirmed="true",
                **without,
            ),
            opening(
                view,
                kept.parts.assumed,
                "assumed",
                outcome="resolved",
                confirmed="false",
                **without,
            ),
            opening(view, kept.parts.abandoned, "abandoned", outcome="abandoned", **without),
            opening(view, kept.parts.failed, "failed", outcome="failed", **without),
        ],
    )


def _resolution(
    o: Overview, points: Sequence[Point], view: View, clear: Mapping[str, bool]
) -> Card:
    resolution = o.resolution
    return Card(
        key="resolution",
        label="Resolution",
        value=formats.percent(resolution.low),
        note=f"confirmed; up to {formats.percent(resolution.high)} with what is assumed:"
        if resolution.low is not None
        else "none settled",
        sample=f"of {formats.count(resolution.settled)}",
        meanings=meanings("resolution_ratio_high", "resolution_ratio_low", "confirmed_resolutions"),
        trend=trend(
            o.changes["resolution_low"],
            formats.percent,
            better="up",
            ratio=True,
            clear=clear.get("resolution_ratio_low"),
        ),
        line=_line(points, lambda p: p.resolution.low),
        interval=formats.interval(resolution.confirmed, resolution.settled),
        opens=opening(view, resolution.confirmed, "", outcome="resolved", confirmed="true"),
        parts=[opening(view, resolution.assumed, "assumed", outcome="resolved", confirmed="false")],
    )


def _handoffs(o: Overview, points: Sequence[Point], view: View, clear: Mapping[str, bool]) -> Card:
    return Card(
        key="handoffs",
        label="Handoffs",
        value=formats.percent(o.handoffs.rate),
        note="settled with a human",
        sample=f"of {formats.count(o.containment.settled)}",
        meanings=meanings("handoff_ratio", "handoff_conversations"),
        trend=trend(
            o.changes["handoffs"],
            formats.percent,
            better="down",
            ratio=True,
            clear=clear.get("containment_ratio"),
        ),
        line=_line(points, lambda p: p.handoffs.rate),
        interval=formats.interval(o.handoffs.conversations, o.containment.settled),
        opens=opening(view, o.handoffs.conversations, "", state="settled", handoff="true"),
    )


def _satisfaction(o: Overview, points: Sequence[Point], view: View) -> Card:
    rated = o.satisfaction
    return Card(
        key="satisfaction",
        label="Mean rating",
        value=formats.percent(rated.mean),
        note=f"{rated.original_mean:.1f} as given"
        if rated.original_mean is not None
        else ("on several scales" if rated.count else "no ratings"),
        sample=f"{formats.plural(rated.count, 'rating')} so far, more may come",
        meanings=meanings("csat_ratio", "csat_original_mean"),
        trend=trend(o.changes["satisfaction"], formats.percent, better="up", ratio=True),
        line=_line(points, lambda p: p.satisfaction.mean),
        parts=[Opening("read them", view.narrowed("/conversations", rating_min="0"))]
        if rated.count
        else (),
    )


def _confidence(o: Overview, points: Sequence[Point], view: View) -> Card:
    confidence = o.confidence
    return Card(
        key="confidence",
        label="Confidence",
        value=formats.score(confidence.mean),
        note="mean",
        sample=formats.plural(confidence.count, "turn"),
        meanings=meanings("mean_confidence", "low_confidence_ratio"),
        trend=trend(o.changes["confidence"], formats.score, better="up"),
        line=_line(points, lambda p: p.confidence.mean),
        parts=[
            opening(
                view,
                confidence.low,
                f"unsure ({formats.percent(confidence.low_rate)}, below {confidence.threshold:g})",
                "/turns",
                confidence_below=f"{confidence.threshold:g}",
            )
        ]
        if confidence.count
        else (),
    )


def _engagement(o: Overview, points: Sequence[Point], view: View) -> Card:
    return Card(
        key="engagement",
        label="Engagement",
        value=formats.whole(o.engagement.score),
        note="of 100, mean score",
        sample=formats.plural(o.conversations, "conversation"),
        meanings=meanings("engagement_score"),
        trend=trend(o.changes["engagement"], formats.whole, better="up"),
        line=_line(points, lambda p: p.engagement.score),
        parts=[_furthest(view, "engagement", "the least engaged")] if o.conversations else (),
    )


def _tokens(o: Overview, points: Sequence[Point], view: View) -> Card:
    tokens = o.tokens
    return Card(
        key="tokens",
        label="Tokens",
        value=formats.compact(tokens.total),
        note=f"{formats.compact(tokens.input)} in · {formats.compact(tokens.output)} out"
        if tokens.total is not None
        else "none reported",
        sample=formats.plural(tokens.turns, "turn"),
        meanings=meanings("total_tokens", "input_tokens", "output_tokens"),
        trend=trend(o.changes["tokens"], formats.whole, better="neither"),
        line=_line(points, lambda p: p.tokens.total),
        parts=[_furthest(view, "-tokens", "most tokens")] if tokens.total else (),
    )


def _cost(o: Overview, points: Sequence[Point], view: View) -> Card:
    cost = o.cost
    return Card(
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
        parts=[_furthest(view, "-cost", "the dearest")] if cost.amount else (),
    )
