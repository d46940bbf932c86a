"""Every number on a page that leads somewhere leads to exactly what it counts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

import pytest

from otel_chat.server import segments
from otel_chat.server.api.security import COOKIE
from otel_chat.server.figures.window import Window
from otel_chat.server.pages.render import NAVIGATION, SHEETS
from otel_chat.server.reviews import GivenReview, keep_review
from tests import web
from tests.server.given import NOON, Given
from tests.server.pages import scenes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from otel_chat.server.store import Store
    from tests.server.pages.conftest import Site

LINK: Final = re.compile(r'<a href="([^"]+)" data-counts="(\d+)"')
FIGURE: Final = re.compile(r'labelledby="card-turns">.*?class="figure[^>]*>([\d,]+)', re.DOTALL)
PARTS: Final = [f"{sheet.path}/{name}" for sheet in SHEETS for name in sheet.parts]
PAGES: Final = ["/leaders", "/intents/questions", *(entry.path for entry in NAVIGATION), *PARTS]
COUNTING: Final = (
    "/",
    "/conversations",
    "/leaders",
    "/intents",
    "/intents/unanswered",
    "/intents/questions",
    "/journeys",
    "/outcomes",
    "/outcomes/course",
    "/review",
)
"""Pages that must not lose their links."""
END: Final = datetime.now(UTC).replace(microsecond=0)
OF_PAGES: Final = {
    "times": {},
    "agent": {"agent": "support"},
    "several": {"channel": ["web", "mobile"], "intent_not": "thanks"},
    "handoff": {"handoff": "true"},
    "segment": {"segment": "Half of it"},
}
CONDITIONS: Final = "(channel = web and not failed) or handoff or topic = price"


@pytest.fixture(scope="module")
def filled(store: Store) -> Given:
    """Two weeks in which something changed, with topics and guests."""
    given = Given(store)
    scenes.fallen_containment(given, END)
    given.rows.clear()
    for number in range(8):
        seconds = (END - timedelta(hours=number + 2) - NOON).total_seconds()
        name = f"more-{number}"
        kind = ("guest", "client", "")[number % 3]
        given.turn(name, seconds, agent="support", channel="web", user_type=kind, intent="parcel")
        given.turn(name, seconds + 9, agent="sales", channel="web", user_type="client",
                   status="error" if number % 2 else "ok")  # fmt: skip
        asked = ("gift card balance", "parking at the store")[number % 2]
        given.turn(name, seconds + 15, agent="support", channel="web", fallback=True,
                   input_messages=scenes.content("user", asked))  # fmt: skip
        given.event("topic", name, seconds, topic=("delivery", "price")[number % 2])
        given.feedback(number % 5 + 1, name, seconds + 20)
    given.save()
    segments.save_segment(
        store, given.scope, "Half of it", segments.SegmentConditions(where=CONDITIONS)
    )
    for number, value in enumerate(("no", "yes", "partly", "no")):
        said = GivenReview(scores={"resolved": value, "quality": "3"}, labels=["tone"])
        keep_review(given.store, given.scope, Window.last(), f"more-{number}", said)
    return given


@pytest.fixture(scope="module")
def client(site: Site, filled: Given) -> Iterator[httpx.Client]:
    with web.Client(base_url=site.address, cookies={COOKIE: filled.tenant}) as opened:
        yield opened


def entries(client: httpx.Client, href: str) -> int:
    """How many entries the list at an address has, on all of its pages."""
    path, query = urlsplit(href).path, urlsplit(href).query
    if path == "/turns":
        page = client.get(href).text
        figure = FIGURE.search(page)
        assert figure or "Nothing in this window" in page
        return int(figure[1].replace(",", "")) if figure else 0
    if path == "/intents/question":
        return client.get(href).text.partition('data-table="asked"')[2].count("<tr>") - 1
    assert path == "/conversations", href
    found, cursor = 0, ""
    while cursor is not None:
        more = f"&{urlencode({'cursor': cursor})}" if cursor else ""
        page = client.get(f"/api/v1/conversations?{query}&limit=200{more}").json()
        found += len(page["items"])
        cursor = page["next_cursor"]
    return found


@pytest.mark.parametrize("asked", OF_PAGES)
@pytest.mark.parametrize("path", PAGES)
def test_a_number_opens_what_it_counts(client: httpx.Client, path: str, asked: str) -> None:
    """Each link that counts, on each page and in each of its parts: a list of the same length."""
    times = {"from": (END - timedelta(days=7)).isoformat(), "to": END.isoformat()}
    page = client.get(f"{path}?{urlencode({**times, **OF_PAGES[asked]}, doseq=True)}")
    assert page.status_code == 200
    links = {unescape(href): int(counts) for href, counts in LINK.findall(page.text)}
    assert links or path not in COUNTING or asked != "times"
    found = {href: entries(client, href) for href in links}
    wrong = {href: (links[href], found[href]) for href in links if links[href] != found[href]}
    assert wrong == {}
