"""The report: its figures by hand, its forms, and what a name in it may not do."""

from __future__ import annotations

import html
import re
import xml.dom.minidom
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from otel_chat.errors import QueryError
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.report import Line, Report, report
from otel_chat.server.report.render import render
from tests import web
from tests.server.given import DAY, Given, at
from tests.server.served import FROM_TO

NOW = replace(DAY, now=at(5600))
YESTERDAY = -86_400
HOSTILE = "<script>alert(1)</script>|*\x1b[31m\nnext"


def ask(given: Given, timezone: str = "UTC", filters: Filters | None = None) -> Report:
    return report(given.store, given.scope, NOW, filters or Filters(), timezone)


def line(found: Report, section: str, name: str) -> Line:
    """A line of a section."""
    [lines] = [one.lines for one in found.sections if one.name == section]
    [wanted] = [one for one in lines if one.name == name]
    return wanted


@pytest.fixture
def two_days(given: Given) -> Given:
    """Three conversations of the day, one still open, and two of the day before."""
    given.turn("good", 0, 1, user_type="client", cost="0.5", input_tokens=3, output_tokens=1)
    given.turn("good", 10, 3, user_type="client")
    given.event("topic", "good", 1, topic="orders")
    given.feedback(5, "good", 20)
    given.turn("bad", 3600, 2, user_type="client", fallback=True)
    given.event("topic", "bad", 3601, topic="orders")
    given.event("topic", "bad", 3602, topic="billing")
    given.event("message", "bad", 3603, sender="system")
    given.turn("open", 5000, 2)
    given.turn("before", YESTERDAY, 4, user_type="client", handoff=True)
    given.event("topic", "before", YESTERDAY + 1, topic="orders")
    given.feedback(3, "before", YESTERDAY + 2)
    given.turn("too", YESTERDAY + 60, 4, user_type="provider")
    given.save()
    return given


def test_conversations_and_messages_beside_those_before(two_days: Given) -> None:
    """3 after 2, one open; 4 turns, 4 replies and a system message after 2 turns and replies."""
    found = ask(two_days)
    total = line(found, "sessions", "total")
    assert (total.value, total.previous, total.difference, total.relative) == (3, 2, 1, 0.5)
    assert (line(found, "sessions", "active").value, line(found, "sessions", "closed").value) == (
        1, 2,
    )  # fmt: skip
    assert line(found, "sessions", "closed").previous == 2
    sent = {
        name: (line(found, "messages", name).value, line(found, "messages", name).previous)
        for name in ("total", "user", "assistant", "system", "human", "per_conversation")
    }
    assert sent == {
        "total": (9, 4), "user": (4, 2), "assistant": (4, 2), "system": (1, 0),
        "human": (0, 0), "per_conversation": (3.5, 2),
    }  # fmt: skip


def test_performance_satisfaction_and_cost_beside_those_before(two_days: Given) -> None:
    """1, 3, 2 and 2 s make 2 s after 4 s; one of two settled is confirmed; 5 after 3 of 5."""
    found = ask(two_days)
    response = line(found, "performance", "response_time")
    assert (response.value, response.previous, response.relative) == (2, 4, -0.5)
    low = line(found, "performance", "resolution_low")
    assert (low.value, low.previous) == (0.5, 0)
    assert line(found, "performance", "handoff").previous == 0.5
    assert line(found, "performance", "engagement").value == pytest.approx((48 + 4 + 24) / 3)
    rating = line(found, "satisfaction", "rating")
    assert (rating.value, rating.previous) == (5, 3)
    assert line(found, "satisfaction", "count").difference == 0
    assert (line(found, "usage", "tokens").value, line(found, "usage", "cost").value) == (4, 0.5)
    assert line(found, "usage", "cost").difference is None


def test_topics_issues_and_user_types_are_ranked(two_days: Given) -> None:
    """Orders in both with a topic, once unresolved; yesterday's handed off was an issue too."""
    found = ask(two_days)
    assert [one.model_dump() for one in found.top_topics] == [
        {"name": "orders", "conversations": 2, "share": 1.0, "previous": 1},
        {"name": "billing", "conversations": 1, "share": 0.5, "previous": 0},
    ]
    assert [one.model_dump() for one in found.common_issues] == [
        {"name": "billing", "conversations": 1, "share": 1.0, "previous": 0},
        {"name": "orders", "conversations": 1, "share": 0.5, "previous": 1},
    ]
    assert [(one.name, one.conversations, one.previous) for one in found.user_types] == [
        ("client", 2, 1), ("", 1, 0),
    ]  # fmt: skip
    assert sum(one.share or 0 for one in found.user_types) == pytest.approx(1)


def test_peak_hours_are_those_of_the_time_zone(two_days: Given) -> None:
    """Turns at 12, 12, 13 and 13 UTC of a Tuesday; five and a half hours later in Kolkata."""
    hours = ask(two_days).hours
    assert [(peak.hour, peak.turns, peak.share) for peak in hours.peaks] == [
        (12, 2, 0.5), (13, 2, 0.5),
    ]  # fmt: skip
    assert (sum(map(sum, hours.weekdays)), hours.weekdays[1][12], hours.hours[13]) == (4, 2, 2)
    far = ask(two_days, "Asia/Kolkata").hours
    assert [(peak.hour, peak.turns) for peak in far.peaks] == [(17, 2), (18, 2)]
    late = ask(two_days, "Pacific/Kiritimati").hours
    assert late.weekdays[2][2] == 2


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "", "UTC\x00"])
def test_an_unknown_time_zone_is_refused(given: Given, name: str) -> None:
    """With the parameter's name."""
    with pytest.raises(QueryError) as raised:
        ask(given, name)
    assert raised.value.field == "timezone"


def test_filters_limit_every_part(two_days: Given) -> None:
    """Only the users that are clients."""
    found = ask(two_days, filters=Filters(user_type="client"))
    assert line(found, "sessions", "total").value == 2
    assert [one.name for one in found.user_types] == ["client"]
    assert sum(found.hours.hours) == 3


def test_a_report_of_nothing_says_so(given: Given) -> None:
    """No figure is made up, in no form."""
    found = ask(given)
    assert (line(found, "performance", "response_time").value, found.hours.peaks) == (None, [])
    for form in ("text", "markdown", "html"):
        written = render(found, form)
        assert "no data" in written
        assert "none" in written.lower()
        assert "nan" not in written.lower().replace("finance", "")


def test_the_page_stands_by_itself(two_days: Given) -> None:
    """Nothing is loaded, no script; every drawing is well-formed, with a bar for each hour."""
    page = render(ask(two_days), "html")
    assert not re.search(r"<script|<link|src=|@import|url\(|https?://", page)
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    bars = [
        len(xml.dom.minidom.parseString(drawing).getElementsByTagName("rect"))
        for drawing in drawings
    ]
    assert bars == [24, 24, 24]
    assert "@media print" in page
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert [caption.replace("\u202f", " ") for caption in captions] == [
        "Conversations over time: at most 2",
        "Response time over time, 95 %: at most 2.9 s",
        "Turns by hour of the day: at most 2",
    ]
    assert "+50" in page


def test_names_cannot_break_out_of_any_form(given: Given) -> None:
    """What an application calls a topic is text, in HTML, Markdown and on a terminal."""
    given.turn(user_type=HOSTILE)
    given.event("topic", topic=HOSTILE, seconds=1)
    given.save()
    found = ask(given)
    page = render(found, "html")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    table = render(found, "markdown")
    assert r"\<script\>alert\(1\)\</script\>\|\*\[31m next" in table
    assert "<script" not in table.replace(r"\<script", "")
    assert "\x1b" not in render(found, "text") + table


def test_the_report_of_a_week_is_by_day(given: Given) -> None:
    """One bar for each day that the window touches."""
    week = replace(DAY, start=datetime(2026, 11, 4, tzinfo=UTC))
    given.turn()
    given.save()
    found = report(given.store, given.scope, week, Filters())
    assert [point.conversations for point in found.over_time] == [0, 0, 0, 0, 0, 0, 1]
    assert "4 Nov" in render(found, "html")


def test_every_form_is_served(two_days: Given, server: str) -> None:
    """JSON without being asked; the page under a policy that allows its style and nothing else."""
    with web.Client(base_url=server) as client:

        def get(**more: str) -> httpx.Response:
            return client.get("/api/v1/report", params={**FROM_TO, **more})

        assert {part["name"] for part in get().json()["sections"]} == {
            "sessions", "messages", "performance", "satisfaction", "usage",
        }  # fmt: skip
        assert get(format="text").headers["content-type"].startswith("text/plain")
        assert get(format="markdown").text.startswith("# Conversations")
        page = get(format="html")
        assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src")
        assert get(timezone="Mars/Olympus").json()["error"]["field"] == "timezone"


WRITTEN = Path(__file__).parents[2] / "docs" / "report"
RANKED = "Top topics"


def named(text: str) -> list[str]:
    """The headings of a report as text, and what each line of its sections of figures is called."""
    lines = text.splitlines()
    headings = {
        one for one, below in pairwise(lines) if one and below == "-" * len(one)
    }  # fmt: skip
    figures = lines[: lines.index(RANKED)]
    told = [re.split(r"\s{2,}", one)[0] for one in figures if re.search(r"\S\s{2,}\S", one)]
    return [*(one for one in lines if one in headings), *told]


def test_the_written_examples_are_as_reports_are_written_today(two_days: Given) -> None:
    """docs/report: the headings and the lines of a report of today, as text and as a page."""
    today = named(render(ask(two_days), "text"))
    assert named((WRITTEN / "week.txt").read_text()) == today
    page = html.unescape((WRITTEN / "week.html").read_text())
    assert [one for one in today if f">{one.partition(' (')[0]}" not in page] == []
