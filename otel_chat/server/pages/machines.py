"""Memory and processors of the applications that send, and the telemetry that they lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_chat.server.pages import formats
from otel_chat.server.pages.charts import Chart, Colour, Column, Course
from otel_chat.server.pages.overview import meanings
from otel_chat.server.pages.tables import Head, Table, table

if TYPE_CHECKING:
    from otel_chat.server.figures.window import Window
    from otel_chat.server.questions.process import Process, Processes

DRAWN: Final[tuple[Colour, ...]] = ("accent", "warn", "ok", "handoff", "bad")
"""The colours of the processes that are drawn; more of them could not be told apart."""


def _name(one: Process) -> str:
    parts = (one.service_name, one.instance_id[:12])
    return " ".join(part for part in parts if part) or "(no name)"


def panels(found: Processes, window: Window) -> list[Chart | Table]:
    """Charts and a table of the processes; none where none reported."""
    if not found.items:
        return []
    course = Course.of(window, found.bucket)
    drawn = found.items[: len(DRAWN)]
    rows = course.rows
    sample = formats.plural(len(found.items) + found.others, "process", "processes")
    return [
        Chart(
            "memory",
            "Memory",
            "Does an application take more and more of it?",
            rows,
            [
                Column(
                    _name(one), [p.memory for p in one.points], formats.size,
                    colour=colour, unit="By",
                )
                for one, colour in zip(drawn, DRAWN, strict=False)
            ],
            meanings=meanings("process_memory"),
            sample=sample,
        ),
        Chart(
            "processors",
            "Processors",
            "Does the work fit the machine?",
            rows,
            [
                Column(
                    _name(one), [p.cpu for p in one.points], formats.percent,
                    colour=colour, unit="1",
                )
                for one, colour in zip(drawn, DRAWN, strict=False)
            ],
            meanings=meanings("process_cpu"),
            sample=sample,
        ),
        _table(found),
    ]  # fmt: skip


def _table(found: Processes) -> Table:
    heads: list[Head[Process]] = [
        Head("Application", _name, number=False),
        Head("Last seen", lambda p: formats.when(p.last_seen), number=False),
        Head("Memory", lambda p: formats.size(p.memory), figure="process_memory"),
        Head("At most", lambda p: formats.size(p.memory_max)),
        Head("Processors", lambda p: formats.percent(p.cpu), figure="process_cpu"),
        Head("Threads", lambda p: formats.count(p.threads)),
    ]
    lost = found.telemetry
    return table(
        "processes",
        "Applications",
        f"Which applications report, and is anything lost on the way? {lost.dropped:,} pieces of"
        f" telemetry were dropped, {lost.errors:,} errors inside the instrumentation.",
        heads,
        found.items,
        nothing="",
        others=found.others,
        wide=True,
    )
