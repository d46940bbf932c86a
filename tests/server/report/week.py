"""A bad week beside a good one: refunds fail, and go to a human."""

from __future__ import annotations

from datetime import UTC, datetime

from otel_chat.server.report.definition import ReportDefinition, read_definition
from otel_chat.server.report.keeping import Report
from otel_chat.server.report.making import Made, make
from tests.server.given import NOON, Given

MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)
COMMENT = "I asked three times where my refund is. [click](https://evil.example) <b>"
ASKED = "can I pay with a voucher"


def seconds(day: int, number: int) -> float:
    """So many minutes after ten of a day of November, as tests count from their noon."""
    return (datetime(2026, 11, day, 10, tzinfo=UTC) - NOON).total_seconds() + 60 * number


def bad_week(given: Given, conversations: int = 60) -> Given:
    """In the week to 22 November half of the refunds reach a human; before that, none did."""
    for week, (day, bad) in enumerate(((10, False), (17, True))):
        for number in range(conversations):
            name = f"{week}-{number}"
            refund = number % 2 == 0
            failed = bad and refund and number % 4 == 0
            turn = given.turn(
                name,
                seconds(day, number),
                1.0,
                intent="refund" if refund else "hello",
                handoff=failed,
                cost="0.01",
                input_tokens=100,
                variant="B" if number % 3 else "A",
            )
            if refund:
                given.span(
                    turn["trace_id"],
                    turn["span_id"],
                    name="execute_tool track_return",
                    operation="execute_tool",
                    tool="track_return",
                    start=turn["start"],
                    end=turn["end"],
                    status_code="error" if failed else "ok",
                    error_type="timeout" if failed else "",
                )
    given.event(
        "gen_ai.evaluation.result",
        "1-0",
        seconds(17, 30),
        evaluation="user_feedback",
        value=1,
        score=0,
        scale_min=1,
        scale_max=5,
        comment=COMMENT,
    )
    given.turn(
        "asked",
        seconds(18, 0),
        fallback=True,
        input_messages=f'[{{"role": "user", "parts": [{{"content": "{ASKED}"}}]}}]',
    )
    given.save()
    return given


def report_of(given: Given, *, texts: bool = True, **fields: object) -> Report:
    """A weekly report of a tenant."""
    definition: ReportDefinition = read_definition({"name": "Weekly", **fields})
    return Report(definition, given.tenant, texts)


def made_of(given: Given, one: Report, moment: datetime = MONDAY) -> Made:
    """The report of the week before a Monday."""
    return make(given.store, one.scope, one, moment, idle=1800, address="https://chat.example")
