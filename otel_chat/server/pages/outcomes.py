"""The page of outcomes and feedback: how conversations end, and what people think of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_chat.server.access import CONVERSATIONS_READ
from otel_chat.server.pages import formats, links
from otel_chat.server.pages.charts import Chart, Colour, Column, Course, sparkline
from otel_chat.server.pages.grids import Grid, Square, depth, sparse
from otel_chat.server.pages.overview import OUTCOMES, Card, Opening, meanings, opening
from otel_chat.server.pages.periods import zones
from otel_chat.server.pages.sheets import Asking, Body, Later, Panel, Sheet
from otel_chat.server.pages.tables import Cell, Head, Table, counted, rate, table
from otel_chat.server.questions import (
    business,
    evaluations,
    feedback,
    hours,
    interactions,
    overview,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_chat.server.figures.window import Window
    from otel_chat.server.pages.links import View
    from otel_chat.server.questions.business import Business
    from otel_chat.server.questions.feedback import FeedbackFigures, RatingScale
    from otel_chat.server.questions.interactions import InteractionStatistics
    from otel_chat.server.questions.overview import Series

_COMMENTS: Final = 20
_SHOWN: Final = 6
_SCALES: Final = 2
_LARGEST_SCALE: Final = 11
_COLOURS: Final[dict[str, Colour]] = {
    "resolved": "ok",
    "handed_off": "handoff",
    "abandoned": "warn",
    "failed": "bad",
    "open": "accent",
}
DAYS: Final = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip


def between(low: float | None, high: float | None) -> str:
    """Two bounds of a share in words.

    Example:
        >>> [between(*pair).replace("\u202f", " ") for pair in ((0.5, 0.8), (0.5, 0.5))]
        ['50 % to 80 %', '50 %']
        >>> between(None, None)
        'no data'
    """
    if low is None or low == high:
        return formats.percent(high)
    return f"{formats.percent(low)} to {formats.percent(high)}"


def _cards(found: Business, rated: FeedbackFigures, view: View) -> list[Card]:
    solved, kept, human = found.resolution, found.containment, found.handoffs
    return [
        Card(
            key="resolved",
            label="Resolved",
            value=between(solved.low, solved.high),
            note="",
            parts=[
                opening(view, solved.confirmed, "confirmed", outcome="resolved", confirmed="true"),
                opening(view, solved.assumed, "assumed", outcome="resolved", confirmed="false"),
            ],
            sample=f"of {formats.count(solved.settled)} settled",
            meanings=meanings(
                "resolution_ratio_low",
                "resolution_ratio_high",
                "confirmed_resolutions",
                "assumed_resolutions",
            ),
        ),
        Card(
            key="contained",
            label="Contained",
            value=formats.percent(kept.rate),
            interval=formats.interval(kept.count, kept.settled),
            note="",
            parts=[opening(view, kept.count, "without a human", state="settled", handoff="false")],
            sample=f"of {formats.count(kept.settled)} settled",
            meanings=meanings("containment_ratio", "contained_conversations"),
        ),
        Card(
            key="handoffs",
            label="Handed off",
            value=formats.percent(human.rate),
            interval=formats.interval(human.conversations, kept.settled),
            opens=opening(view, human.conversations, "", state="settled", handoff="true"),
            note=f"wait for a human {formats.duration(human.wait.p50)}"
            if human.wait.count
            else formats.plural(human.conversations, "conversation"),
            sample=f"of {formats.count(kept.settled)} settled",
            meanings=meanings("handoff_ratio", "handoff_conversations", "handoff_wait"),
        ),
        Card(
            key="satisfaction",
            label="Mean rating",
            value=formats.percent(rated.all.score),
            note=f"CSAT {formats.percent(rated.all.top_share)}"
            if rated.all.ratings
            else "nobody rated",
            sample=f"{formats.plural(rated.all.ratings, 'rating')},"
            f" {formats.percent(rated.response_rate)} of settled",
            meanings=meanings("csat_ratio", "csat_top_ratio", "feedback_response_ratio"),
            parts=[Opening("read them", view.narrowed(links.LIST, rating_min="0"))]
            if rated.all.ratings
            else (),
        ),
    ]


def _ends(series: Series, asking: Asking) -> Chart:
    course, view = Course.of(asking.window, series.bucket), asking.view
    counted = [point.outcomes.model_dump() for point in series.points]
    return Chart(
        "ends",
        "Outcomes",
        "Do conversations end better or worse than they did?",
        course.rows,
        [
            Column(
                label,
                [c[key] for c in counted],
                formats.whole,
                kind="bar",
                colour=_COLOURS[key],
                href=view.narrowed(links.LIST, outcome=key),
            )
            for key, label in OUTCOMES
        ],
        meanings=meanings(*(f"{key}_conversations" for key, _ in OUTCOMES)),
        sample=formats.plural(sum(point.conversations for point in series.points), "conversation"),
        hrefs=course.hrefs(view, links.LIST),
    )


def _score_over_time(found: FeedbackFigures, window: Window, *, wide: bool) -> Chart:
    course = Course.of(window, found.bucket)
    return Chart(
        "satisfaction",
        "Mean rating over time",
        "Are people happier than before?",
        course.rows,
        [Column("Mean rating", [p.score for p in found.points], formats.percent, unit="1")],
        meanings=meanings("csat_ratio"),
        sample=formats.plural(found.all.ratings, "rating"),
        wide=wide,
        how='otel_chat.feedback(4, conversation_id="c-1")',
    )


def _scale(number: int, scale: RatingScale) -> Chart:
    given = {value.value: value.ratings for value in scale.values}
    steps = sorted(given)
    low, high = scale.lowest, scale.highest
    if low.is_integer() and high.is_integer() and high - low < _LARGEST_SCALE:
        steps = [low + step for step in range(int(high - low) + 1)]
    return Chart(
        f"scale-{number}",
        f"Ratings from {low:g} to {high:g}",
        f"Is everybody content, or are some delighted and some angry? Mean {scale.mean:.2f}."
        if scale.mean is not None
        else "Is everybody content, or are some delighted and some angry?",
        [(None, f"{step:g}") for step in steps],
        [Column("Ratings", [given.get(step, 0) for step in steps], formats.whole, kind="bar")],
        axis="Rating",
        meanings=meanings("csat_original_mean"),
        sample=formats.plural(scale.ratings, "rating"),
    )


def _confidence(found: InteractionStatistics, view: View) -> Chart:
    bins = found.confidence_distribution
    threshold = found.confidence.threshold
    unsure = [b.high <= threshold + 1e-9 for b in bins]
    return Chart(
        "confidence",
        "Confidence",
        "How sure is the bot of what people want?",
        [(None, f"{b.low:.1f} to {b.high:.1f}") for b in bins],
        [
            Column(
                "Unsure",
                [b.turns if low else 0 for b, low in zip(bins, unsure, strict=True)],
                formats.whole,
                kind="bar",
                colour="warn",
            ),
            Column(
                "Sure",
                [0 if low else b.turns for b, low in zip(bins, unsure, strict=True)],
                formats.whole,
                kind="bar",
            ),
        ],
        axis="Confidence",
        meanings=meanings("mean_confidence", "low_confidence_ratio"),
        sample=formats.plural(found.confidence.count, "turn"),
        mark=(sum(unsure), f"threshold {threshold:g}"),
        hrefs=[
            view.narrowed(
                links.TURN_LIST,
                confidence_min=f"{b.low:g}",
                **({"confidence_below": f"{b.high:g}"} if b.high < 1 else {}),
            )
            for b in bins
        ],
    )


def _hours(asking: Asking) -> Grid:
    zone = asking.timezone
    found = hours.peak_hours(asking.store, asking.scope, asking.window, asking.filters, zone)
    most = found.peak.turns if found.peak else 0
    rows = []
    for day, name in enumerate(DAYS):
        cells = [cell for cell in found.cells if cell.weekday == day]
        squares = [
            Square(
                str(cell.turns),
                f"{name}, {cell.hour:02d}:00: {formats.plural(cell.turns, 'turn')},"
                f" {formats.plural(cell.conversations, 'conversation')} begun,"
                f" response {formats.duration(cell.mean_response_time)}",
                depth(cell.turns, most),
            )
            for cell in cells
        ]
        rows.append((name, squares))
    busiest = (
        f" Most on {DAYS[found.peak.weekday]} at {found.peak.hour}:00"
        f" ({formats.percent(found.peak_share)})."
        if found.peak
        else ""
    )
    return Grid(
        "hours",
        "Hours of the week",
        f"When do people write, so that somebody is there?{busiest}",
        f"Turns by weekday and hour, {zone}",
        sparse([f"{hour:02d}:00" for hour in range(24)], 8),
        rows,
        meanings=[("Turns", "Turns that started in the hour, in the time zone chosen.")],
        sample=formats.plural(sum(cell.turns for cell in found.cells), "turn"),
        zones=zones(zone),
    )


def _evaluations(asking: Asking) -> Table:
    found = evaluations.evaluations(asking.store, asking.scope, asking.window, asking.filters)

    def labels(one: evaluations.Evaluation) -> str:
        return ", ".join(f"{label.label} {label.count:,}" for label in one.labels[:3])

    heads: list[Head[evaluations.Evaluation]] = [
        Head("Evaluation", lambda e: e.name or "(no name)", number=False),
        Head("Results", lambda e: formats.count(e.count), figure="evaluations"),
        Head("Scored", lambda e: formats.count(e.scored)),
        Head(
            "Mean",
            lambda e: Cell(formats.score(e.mean), line=sparkline([p.mean for p in e.points])),
            figure="evaluation_score",
        ),
        Head("Median", lambda e: formats.score(e.p50)),
        Head("Lowest", lambda e: formats.score(e.lowest)),
        Head("Highest", lambda e: formats.score(e.highest)),
        Head("Labels", labels, number=False),
    ]
    return table(
        "evaluations",
        "Evaluation scores",
        "What do users, judges and tests say of the replies?",
        heads,
        found.items,
        nothing="No evaluations were reported.",
        how='otel_chat.feedback(4, conversation_id="c-1")',
        others=found.others,
        wide=True,
    )


def _comments(asking: Asking) -> Table:
    several = asking.scope.tenants is None or len(asking.scope.tenants) > 1
    allowed = asking.scope.allows(CONVERSATIONS_READ)
    items: Sequence[feedback.Comment] = ()
    if allowed:
        asked = (asking.store, asking.scope, asking.window, asking.filters)
        items = feedback.comments(*asked, limit=_COMMENTS).items

    def words(comment: feedback.Comment) -> Cell:
        tenant = comment.tenant if several else None
        address = links.conversation(comment.conversation_id, tenant=tenant)
        return Cell(comment.comment, address, quoted=True)

    heads: list[Head[feedback.Comment]] = [
        Head("Comment", words, number=False),
        Head("Given", lambda c: formats.when(c.time), number=False),
        Head("Score", lambda c: formats.score(c.score)),
    ]
    return table(
        "comments",
        "Comments",
        "What do people say in their own words?",
        heads,
        items,
        nothing="Nobody wrote anything, or content is not captured."
        if allowed
        else f"What people wrote needs a token with the scope {CONVERSATIONS_READ}.",
        shown=_SHOWN,
    )


def _endings(series: Series, asking: Asking) -> Table:
    whole = sum(point.conversations for point in series.points)
    counts = {
        key: sum(getattr(point.outcomes, key) for point in series.points) for key, _ in OUTCOMES
    }
    heads: list[Head[tuple[str, str]]] = [
        Head("Outcome", lambda o: o[1], number=False),
        Head(
            "Conversations",
            lambda o: counted(counts[o[0]], asking.view.narrowed("/conversations", outcome=o[0])),
            figure="conversations",
        ),
        Head(
            "Share",
            lambda o: rate(
                counts[o[0]] / whole if whole else None,
                part=counts[o[0]],
                of=whole,
                href=asking.view.narrowed("/conversations", outcome=o[0]),
            ),
        ),
    ]
    return table(
        "outcomes",
        "How conversations end",
        "Which ones to read next? Each leads to its conversations.",
        heads,
        OUTCOMES if whole else (),
        nothing="No conversation began in this window.",
    )


def _course(asking: Asking) -> list[Chart | Table]:
    series = overview.series(asking.store, asking.scope, asking.window, asking.filters)
    return [_ends(series, asking), _endings(series, asking)]


def _said(asking: Asking) -> list[Chart | Table]:
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    return [
        _confidence(interactions.interaction_statistics(*asked), asking.view),
        _comments(asking),
    ]


PARTS: Final[dict[str, tuple[str, Callable[[Asking], Sequence[Panel]]]]] = {
    "course": ("Outcomes", _course),
    "said": ("Confidence and comments", _said),
    "hours": ("Hours of the week", lambda asking: [_hours(asking)]),
    "evaluations": ("Evaluation scores", lambda asking: [_evaluations(asking)]),
}
"""What is fetched after the rest, each on its own."""


def body(asking: Asking) -> Body:
    """What stands on the page of outcomes and feedback."""
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    found = business.business(*asked)
    rated = feedback.feedback(*asked)
    course, *others = [
        Later(key, title, asking.view.narrowed_here(f"/outcomes/{key}"))
        for key, (title, _) in PARTS.items()
    ]
    scales = [_scale(number, one) for number, one in enumerate(rated.scales[:_SCALES])]
    return Body(
        cards=_cards(found, rated, asking.view),
        panels=[
            course,
            *scales,
            _score_over_time(rated, asking.window, wide=len(scales) != 1),
            *others,
        ],
        empty=not found.conversations and not rated.all.ratings and not found.cost.priced_turns,
    )


OUTCOMES_PAGE: Final = Sheet(
    "outcomes",
    "/outcomes",
    "Outcomes",
    "resolved",
    "How do conversations end, and what do people think of them?",
    body,
    {key: make for key, (_, make) in PARTS.items()},
    title="Outcomes and feedback",
)
