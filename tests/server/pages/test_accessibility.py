"""Whether everybody can use the pages: axe-core looks at each, at a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page

from otel_chat.server import segments
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.marks import MarkChange, set_mark
from otel_chat.server.pages.render import NAVIGATION
from otel_chat.server.report.definition import ReportDefinition
from otel_chat.server.reviews import GivenReview, SampleWish, draw_sample, keep_review
from otel_chat.server.sample import Sample, Step
from otel_chat.server.store import Store
from otel_chat.server.theme_states import Deciding, decide
from tests.server.given import Given
from tests.server.pages import scenes
from tests.server.pages.conftest import Readers, Site
from tests.server.pages.test_browser import WIDE_ENOUGH, ago, talk

pytestmark = pytest.mark.browser

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
SERIOUS = {"serious", "critical"}
ASKED = "ab" * 16
PATHS = [
    *(entry.path for entry in NAVIGATION),
    "/leaders",
    "/conversations?search=question&tag=seen&column=cost",
    "/conversations/talk-1",
    "/conversations/talk-1?view=trace",
    "/turn?id=asked&turn=" + "cd" * 8,
    "/compare?by=channel",
    "/?agent=nobody",
    "/segments?name=Half+of+it",
    "/reports/new",
    "/reports/weekly",
    "/runbooks",
    "/runbooks/ChatToolErrors.md",
    "/review?sample=all",
    "/review/queue?sample=all&id=talk-1",
    "/review/rubric",
    "/intents/questions",
    f"/intents/question?asking={ASKED}",
]


def serious(page: Page) -> list[Any]:
    """What axe finds on a page with everything on it opened."""
    page.wait_for_load_state("networkidle")
    page.evaluate("document.querySelectorAll('main details').forEach((one) => (one.open = true))")
    page.evaluate(AXE)
    found = page.evaluate("axe.run()")
    assert found["passes"]
    return [
        (one["id"], one["nodes"][0]["target"], one["nodes"][0]["failureSummary"])
        for one in found["violations"]
        if one["impact"] in SERIOUS
    ]


@pytest.fixture(scope="module")
def given(store: Store) -> Given:
    """A tenant that has something on every page."""
    filled = Given(store)
    scenes.fallen_containment(filled, datetime.now(UTC))
    filled.rows.clear()
    talk(filled)
    filled.turn("asked", ago(600), fallback=True, handoff=True, trace_id=ASKED, span_id="cd" * 8,
                input_messages=scenes.content("user", "gift card balance"))  # fmt: skip
    filled.save()
    decide(filled.store, filled.scope, ASKED, Deciding(state="answered"))
    change = MarkChange(tags=["seen"], note="Look again", reviewed=True)
    set_mark(filled.store, filled.scope, Window.last(), "talk-1", change)
    asked = (filled.store, filled.scope, Window.last())
    draw_sample(*asked, Filters(), SampleWish(name="all", size=2000))
    said = GivenReview(scores={"resolved": "no", "quality": "2"}, labels=["tone"], comment="Hm")
    keep_review(*asked, "talk-1", said)
    return filled


@pytest.fixture(scope="module", autouse=True)
def with_more(site: Site, given: Given) -> Iterator[None]:
    """A segment and a report are kept; the data is a sample, with a tour."""
    conditions = segments.SegmentConditions(where="channel = web and not failed")
    segments.save_segment(given.store, given.scope, "Half of it", conditions)
    site.app.state.shelf.save(given.scope, ReportDefinition(name="weekly", schedule="0 9 * * 1"))
    step = Step(label="Read one", address="/conversations", text="Open one.")
    sample = Sample(about="Made up.", removal="Stop it:", command="rm -r x", steps=(step,))
    usual = site.app.state.settings
    site.app.state.settings = usual.model_copy(update={"sample": sample})
    yield
    site.app.state.settings = usual


@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing_serious(readers: Readers, path: str) -> None:
    """With data, at a desk in the light and on a phone in the dark: contrast, names, roles.

    No page is wider than the phone, with all that can be opened open.
    """
    at_desk = readers(1440, color_scheme="light").read(path)
    on_phone = readers(390, 844, color_scheme="dark").read(path)
    assert serious(at_desk) == serious(on_phone) == []
    assert on_phone.evaluate(WIDE_ENOUGH)
