"""The page of performance: how fast replies come, what fails, and what takes the time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from otel_chat.server.pages import formats, links, machines
from otel_chat.server.pages.charts import Chart, Column, Course, sparkline
from otel_chat.server.pages.grids import Grid, Square, depth, sparse
from otel_chat.server.pages.links import TURN_LIST
from otel_chat.server.pages.overview import SLOWEST, Card, Opening, meanings, opening
from otel_chat.server.pages.sheets import Asking, Body, Later, Panel, Sheet
from otel_chat.server.pages.tables import Cell, Head, Table, counted, furthest, rate, table
from otel_chat.server.questions import dependencies, performance, process, routes, slow_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_chat.server.pages.links import View
    from otel_chat.server.questions.performance import Performance, TurnErrors
    from otel_chat.server.questions.split import TimeSplit

_SLOWEST: Final = 15
_OFTEN_FAILING: Final = 0.05
_SHOWN_LABELS: Final = 8
QUANTILES: Final = (
    "Median, p95, p99",
    "Half of the turns, and 95 % and 99 % of them, took no longer.",
)
PARTS: Final = (
    ("model", "Model"),
    ("retrieval", "Retrieval"),
    ("tool", "Tools"),
    ("own", "Own code"),
)


def _cards(found: Performance, view: View) -> list[Card]:
    took, first = found.response_time, found.time_to_first_chunk
    return [
        Card(
            key="response-time",
            label="Response time",
            value=formats.duration(took.p50),
            note=f"median · p95 {formats.duration(took.p95)} · p99 {formats.duration(took.p99)}"
            if took.count
            else "median",
            sample=formats.plural(took.count, "answered turn"),
            meanings=[*meanings("response_time"), QUANTILES],
            parts=[Opening("the slowest", view.narrowed(TURN_LIST, sort="-response"))]
            if took.count
            else (),
        ),
        Card(
            key="first-chunk",
            label="First words",
            value=formats.duration(first.p50),
            note=f"median · p95 {formats.duration(first.p95)}" if first.count else "median",
            sample=formats.plural(first.count, "streamed turn"),
            meanings=[*meanings("time_to_first_chunk"), QUANTILES],
            parts=[Opening("the slowest", view.narrowed(TURN_LIST, sort="-first_words"))]
            if first.count
            else (),
        ),
        Card(
            key="errors",
            label="Errors",
            value=formats.percent(found.error_rate),
            note="",
            interval=formats.interval(found.errors, found.turns),
            opens=opening(view, found.errors, "", TURN_LIST, failed="true"),
            parts=[
                opening(view, found.errors, "failed", TURN_LIST, failed="true"),
                opening(view, found.cancelled, "cut off", TURN_LIST, cancelled="true"),
                opening(
                    view, found.without_reply, "without a reply", TURN_LIST, without_reply="true"
                ),
            ],
            sample=f"of {formats.count(found.turns)}",
            meanings=meanings(
                "error_ratio", "failed_turns", "cancelled_turns", "turns_without_reply"
            ),
            alarm=found.errors > 0,
        ),
        Card(
            key="throughput",
            label="Turns a minute",
            value=formats.NO_DATA if found.throughput is None else f"{found.throughput:.3g}",
            note="mean over the window",
            sample=formats.plural(found.turns, "turn"),
            meanings=meanings("turns_per_minute"),
            opens=Opening("", view.at(TURN_LIST), found.turns) if found.turns else None,
        ),
    ]


def _bands(found: Performance, course: Course, view: View) -> list[Chart]:
    def hrefs(sort: str) -> list[str]:
        return course.hrefs(view, TURN_LIST, sort=sort)

    rows = course.rows
    return [
        Chart(
            "response-bands",
            "Response time",
            "How long do people wait, most of them and the unlucky ones?",
            rows,
            [
                Column(
                    "Median", [p.response_time_p50 for p in found.points], formats.duration,
                    unit="s",
                ),
                Column(
                    "p95", [p.response_time_p95 for p in found.points], formats.duration,
                    colour="warn", unit="s", band=True,
                ),
            ],
            meanings=[*meanings("response_time"), QUANTILES],
            sample=formats.plural(found.response_time.count, "turn"),
            hrefs=hrefs("-response"),
            furthest=SLOWEST,
        ),
        Chart(
            "first-chunk-bands",
            "Time to the first words",
            "How long does a streamed reply keep people waiting before it starts?",
            rows,
            [
                Column(
                    "Median", [p.first_chunk_p50 for p in found.points], formats.duration, unit="s"
                ),
                Column(
                    "p95", [p.first_chunk_p95 for p in found.points], formats.duration,
                    colour="warn", unit="s", band=True,
                ),
            ],
            meanings=[*meanings("time_to_first_chunk"), QUANTILES],
            sample=formats.plural(found.time_to_first_chunk.count, "streamed turn"),
            hrefs=hrefs("-first_words"),
            furthest=SLOWEST,
        ),
    ]  # fmt: skip


def span_label(bounds: Sequence[float], index: int) -> str:
    """The label of one part of a histogram.

    Example:
        >>> [span_label([0.5, 1.0], index).replace("\u202f", " ") for index in range(3)]
        ['under 0.5 s', '0.5 to 1 s', 'over 1 s']
    """
    if index == 0:
        return f"under {bounds[0]:g}{formats.THIN}s"
    if index == len(bounds):
        return f"over {bounds[-1]:g}{formats.THIN}s"
    return f"{bounds[index - 1]:g} to {bounds[index]:g}{formats.THIN}s"


def span_filters(bounds: Sequence[float], index: int) -> dict[str, str]:
    """The filters that let through what one part of a histogram counts.

    Example:
        >>> span_filters([0.5, 1.0], 1)
        {'response_time_above': '0.5', 'response_time_max': '1'}
    """
    low = {"response_time_above": f"{bounds[index - 1]:g}"} if index else {}
    high = {"response_time_max": f"{bounds[index]:g}"} if index < len(bounds) else {}
    return low | high


def _heatmap(found: Performance, course: Course, view: View) -> Grid:
    most = max((count for point in found.points for count in point.histogram), default=0)
    used = [
        index
        for index in range(len(found.bounds) + 1)
        if any(point.histogram[index] for point in found.points)
    ]
    labels = course.labels
    rows, heads = [], []
    for index in reversed(range(used[0], used[-1] + 1) if used else range(0)):
        span, named = span_label(found.bounds, index), span_filters(found.bounds, index)
        hrefs = course.hrefs(view, TURN_LIST, **named)
        squares = [
            Square(
                str(point.histogram[index]),
                f"{label}, {span}: {formats.plural(point.histogram[index], 'turn')}",
                depth(point.histogram[index], most),
                href if point.histogram[index] else "",
                point.histogram[index],
            )
            for label, point, href in zip(labels, found.points, hrefs, strict=True)
        ]
        rows.append((span, squares))
        every = sum(point.histogram[index] for point in found.points)
        heads.append((view.narrowed(TURN_LIST, **named), every))
    return Grid(
        "latency",
        "Response times over time",
        "Is everything a little slower, or are a few turns much slower?",
        f"Response time by time ({course.edges[0].tzname()})",
        sparse(labels, _SHOWN_LABELS),
        rows,
        meanings=[
            *meanings("response_time"),
            ("Colour", "The deeper, the more turns took this long at this time."),
        ],
        sample=formats.plural(found.turns, "turn"),
        hrefs=heads,
    )


def parts(split: TimeSplit) -> list[tuple[str, float, float]]:
    """Where the time of a turn went, as parts of a bar."""
    made, offset = [], 0.0
    for name, _ in PARTS:
        width = getattr(split, name) / split.duration if split.duration else 0.0
        made.append((name, offset, width))
        offset += width
    return made


def _slowest(asking: Asking) -> Table:
    found = slow_turns.slowest(
        asking.store, asking.scope, asking.window, asking.filters, limit=_SLOWEST
    )
    several = asking.scope.tenants is None or len(asking.scope.tenants) > 1

    def conversation(turn: slow_turns.SlowTurn) -> Cell:
        tenant = turn.tenant if several else None
        address = links.conversation(turn.conversation_id, tenant=tenant, turn=turn.span_id)
        return Cell(turn.conversation_id or "(no id)", address)

    def longest(turn: slow_turns.SlowTurn) -> Cell:
        name, label = max(PARTS, key=lambda part: getattr(turn.split, part[0]))
        took = getattr(turn.split, name)
        return Cell(f"{label} {formats.duration(took)}", parts=parts(turn.split))

    heads: list[Head[slow_turns.SlowTurn]] = [
        Head("Turn of", conversation, number=False),
        Head("Started", lambda t: formats.when(t.start), number=False),
        Head("Intent", lambda t: t.intent or "(none)", number=False),
        Head("Model", lambda t: t.model or "(none)", number=False),
        Head(
            "Took",
            lambda t: Cell(formats.duration(t.duration), tone="bad" if t.status == "error" else ""),
            figure="response_time",
        ),
        Head("Mostly", longest, number=False, figure="turn_model_time"),
        Head("Trace", lambda t: Cell(t.trace_id[:8], f"/traces/{t.trace_id}"), number=False),
    ]
    return table(
        "slowest",
        "Slowest turns",
        "What kept people waiting longest, and where did the time go?",
        heads,
        found.items,
        nothing="There are no turns.",
        wide=True,
        legend=PARTS,
    )


def _errors(found: TurnErrors, view: View) -> Table:
    def such(error: performance.TurnError) -> str:
        if not error.error_type:
            return ""
        return view.narrowed(TURN_LIST, failed="true", error_type=error.error_type)

    heads: list[Head[performance.TurnError]] = [
        Head(
            "Error",
            lambda e: Cell(e.error_type or "(not said)", f"/traces/{e.trace_id}"),
            number=False,
        ),
        Head(
            "Turns",
            lambda e: replace(counted(e.turns, such(e)), line=sparkline(e.trend)),
            figure="error_type_turns",
        ),
        Head("Share", lambda e: rate(e.share, part=e.turns, of=found.turns, href=such(e))),
        Head("Conversations", lambda e: formats.count(e.conversations)),
        Head("Last seen", lambda e: formats.when(e.last_seen), number=False),
    ]
    return table(
        "errors",
        "Errors by type",
        "What goes wrong? Each leads to the latest turn that failed so.",
        heads,
        found.items,
        nothing="No turn ended in an error.",
        wide=True,
    )


def _routes(found: routes.Routes, view: View) -> Table:
    def such(route: routes.Route, **more: str) -> str:
        if not route.route or route.status_code is None:
            return ""
        code = str(route.status_code)
        return view.narrowed(TURN_LIST, route=route.route, status_code=code, **more)

    def slowest(route: routes.Route, took: float | None) -> Cell:
        return furthest(formats.duration(took), such(route, sort="-response"), SLOWEST)

    def failed(route: routes.Route) -> Cell:
        return rate(
            route.error_rate, bad_from=_OFTEN_FAILING, part=route.errors, of=route.turns,
            href=such(route, failed="true"),
        )  # fmt: skip

    heads: list[Head[routes.Route]] = [
        Head("Route", lambda r: r.route or "(not known)", number=False),
        Head(
            "Status",
            lambda r: formats.NO_DATA if r.status_code is None else str(r.status_code),
            number=False,
        ),
        Head("Turns", lambda r: counted(r.turns, such(r))),
        Head("Failed", failed, figure="error_ratio"),
        Head("Median", lambda r: slowest(r, r.p50), figure="response_time"),
        Head("p95", lambda r: slowest(r, r.p95)),
    ]
    return table(
        "routes",
        "Routes and status codes",
        "Which way in is slow, or answers with errors?",
        heads,
        found.items,
        nothing="No turn came with a route.",
        wide=True,
    )


def _dependencies(found: dependencies.Dependencies, view: View) -> Table:
    def name(called: dependencies.Dependency) -> Cell:
        such = view.narrowed(TURN_LIST, tool=called.name) if called.kind == "tool" else ""
        return Cell(called.name or "(no name)", such)

    heads: list[Head[dependencies.Dependency]] = [
        Head("Name", name, number=False),
        Head("Kind", lambda d: d.kind, number=False),
        Head("Calls", lambda d: formats.count(d.calls), figure="dependency_calls"),
        Head(
            "Failed",
            lambda d: Cell(formats.count(d.failures), tone="bad" if d.failures else ""),
            figure="dependency_failures",
        ),
        Head(
            "Success",
            lambda d: rate(d.success_rate, part=d.calls - d.failures, of=d.calls),
            figure="dependency_success_ratio",
        ),
        Head("Mean", lambda d: formats.duration(d.mean), figure="dependency_duration"),
        Head("Median", lambda d: formats.duration(d.p50)),
        Head("p95", lambda d: formats.duration(d.p95)),
        Head("Failed as", lambda d: ", ".join(d.error_types[:3]), number=False),
    ]
    return table(
        "dependencies",
        "Tools, APIs, retrievals and models",
        "Which of the things that turns depend on is slow, or fails? A tool opens its turns.",
        heads,
        found.items,
        nothing="No calls of tools, APIs, retrievals or models were reported.",
        how="@otel_chat.tool",
        others=found.others,
        wide=True,
    )


def _failed(asking: Asking) -> list[Table]:
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    return [_errors(performance.errors(*asked), asking.view)]


def _called(asking: Asking) -> list[Table]:
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    return [_dependencies(dependencies.dependencies(*asked), asking.view)]


def _ways_in(asking: Asking) -> list[Table]:
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    return [_routes(routes.routes(*asked), asking.view)]


def _machines(asking: Asking) -> list[Chart | Table]:
    return machines.panels(
        process.processes(asking.store, asking.scope, asking.window), asking.window
    )


PARTS_OF_IT: Final[dict[str, tuple[str, Callable[[Asking], Sequence[Panel]]]]] = {
    "slowest": ("Slowest turns", lambda asking: [_slowest(asking)]),
    "errors": ("Errors by type", _failed),
    "dependencies": ("Tools, APIs, retrievals and models", _called),
    "routes": ("Routes and status codes", _ways_in),
    "machines": ("Applications", _machines),
}
"""What is fetched after the rest, each on its own."""


def body(asking: Asking) -> Body:
    """What stands on the page of performance."""
    found = performance.performance(asking.store, asking.scope, asking.window, asking.filters)
    course = Course.of(asking.window, found.bucket)
    later = [
        Later(key, title, asking.view.at(f"/performance/{key}"))
        for key, (title, _) in PARTS_OF_IT.items()
    ]
    return Body(
        cards=_cards(found, asking.view),
        panels=[
            *_bands(found, course, asking.view),
            _heatmap(found, course, asking.view),
            *later,
        ],
        empty=not found.turns,
    )


PERFORMANCE: Final = Sheet(
    "performance",
    "/performance",
    "Performance",
    "slow",
    "How fast do replies come, what fails, and what takes the time?",
    body,
    {key: make for key, (_, make) in PARTS_OF_IT.items()},
)
