"""Every number on a page that leads somewhere leads to exactly what it counts."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

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

SINGLE: Final = ("/conversations/", "/traces/")
"""Where a row leads that is about one conversation or one turn, as its numbers are."""
UNSAID: Final = ("(not said)", "(not known)", "no intent", "(no intent)")
"""What is not said cannot be asked for on a page, which takes an empty field for none."""
NUMBER: Final = re.compile(r"[1-9]")
LINK: Final = re.compile(r'<a href="([^"]+)" data-counts="(\d+)"')
FIGURE: Final = re.compile(r'labelledby="card-turns">.*?class="figure[^>]*>([\d,]+)', re.DOTALL)
PARTS: Final = [f"{sheet.path}/{name}" for sheet in SHEETS for name in sheet.parts]
PAGES: Final = ["/leaders", "/intents/questions", *(entry.path for entry in NAVIGATION), *PARTS]
PARTS_OF_COST: Final = ("model", "intent", "agent", "version", "channel", "outcome")
COUNTING: Final = (
    "/",
    "/compare",
    "/conversations",
    "/costs",
    "/leaders",
    "/intents",
    "/intents/unanswered",
    "/intents/questions",
    "/journeys",
    "/live",
    "/outcomes",
    "/outcomes/course",
    "/review",
    "/outcomes/said",
    "/performance",
    "/performance/errors",
    "/performance/routes",
)
"""Pages that must not lose their links."""
_AHEAD: Final = "what may come, or would be elsewhere, did not happen"
_ORDER: Final = "in what order intents came is no filter"
_CHANGE: Final = "a change is of two windows; each of the two opens"
_EARLIER: Final = "it is of the window before"
_RATINGS: Final = "a list has conversations, and one may hold several ratings"
_ELSEWHERE: Final = "what a user agent stands for is read outside of the store"
UNOPENED: Final[dict[str, str]] = {
    "card-turns": "the page of turns itself",
    "card-incomplete": "all of them stand below",
    "unanswered/Before": _EARLIER,
    "unanswered/Turns": "its conversations open; which turns are alike is no filter",
    "intents/Switched": "a switch lies between two turns",
    "entities/Recognised": "entities are in no list",
    "entities/Conversations": "by when entities were seen; a list has those that began then",
    "transitions": _ORDER,
    "drop-off-steps": "the steps of workflows are no filter",
    "workflows": "a conversation may run a workflow twice",
    "chart-scale-0": _RATINGS,
    "chart-scale-1": _RATINGS,
    "chart-satisfaction": _RATINGS,
    "evaluations": "evaluations are in no list",
    "card-returning": "users are in no list",
    "funnel": "in what order steps came is no filter",
    "lead-kinds/Leads": "a conversation may make several",
    "by-device": _ELSEWHERE,
    "by-browser": _ELSEWHERE,
    "hours": "an hour of the week is many times",
    "dependencies": "calls are no turns; the name of a tool opens the turns that called it",
    "errors/Conversations": "a list has those that began in the window",
    "fields": "words for templates of reports, no figures",
    "same-turns": _AHEAD,
    "agents": _AHEAD,
    "margins": _AHEAD,
    **{f"cost-{by}/Change": _CHANGE for by in PARTS_OF_COST},
    **{f"cost-{by}/Cached": "of tokens" for by in PARTS_OF_COST},
    **{f"{of}/A \u2212 B": _CHANGE for of in ("means", "shares", "times")},
}
"""Numbers that open nothing, and why."""
ALIKE: Final = 4
END: Final = datetime.now(UTC).replace(microsecond=0)
OF_PAGES: Final = {
    "times": {},
    "agent": {"agent": "support", "where": "channel = web or handoff"},
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
    usual: dict[str, Any] = {"agent": "support", "channel": "web", "without_reply": False}
    for number in range(8):
        seconds = (END - timedelta(hours=number + 2) - NOON).total_seconds()
        name, odd = f"more-{number}", number % 2
        kind = ("guest", "client", "")[number % 3]
        given.turn(name, seconds, **usual, user_type=kind, intent="parcel", sentiment="good",
                   page="/help", referrer="https://Shop.example/cart?id=1", cost="0.5",
                   confidence=number / 10, route="/chat", http_status=(200, 500)[odd])  # fmt: skip
        given.turn(name, seconds + 3, 4.0, **{**usual, "without_reply": True}, sentiment="bad",
                   status="cancelled" if odd else "ok", input_tokens=number,
                   cost_source="unpriced")  # fmt: skip
        given.turn(name, seconds + 9, **{**usual, "agent": "sales"}, user_type="client",
                   status="error" if odd else "ok",
                   error_type="TimeoutError" if odd else "")  # fmt: skip
        asked = ("gift card balance", "parking at the store")[odd]
        given.turn(name, seconds + 15, **usual, fallback=True,
                   input_messages=scenes.content("user", asked))  # fmt: skip
        given.event("topic", name, seconds, topic=("delivery", "price")[number % 2])
        given.event("lead", name, seconds + 4, lead_kind="signup")
        given.event("lead", name, seconds + 5, lead_kind=("signup", "call")[odd], page="/cart")
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
def counted() -> dict[str, int]:
    """The lengths of lists by their address: many links lead to the same one."""
    return {}


@pytest.fixture(scope="module")
def client(site: Site, filled: Given) -> Iterator[httpx.Client]:
    with web.Client(base_url=site.address, cookies={COOKIE: filled.tenant}) as opened:
        yield opened


def entries(client: httpx.Client, counted: dict[str, int], href: str) -> int:
    """How many entries the list at an address has, on all of its pages."""
    if href not in counted:
        counted[href] = _entries(client, href)
    return counted[href]


def _entries(client: httpx.Client, href: str) -> int:
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


class Numbers(HTMLParser):
    """The numbers of a page that open nothing, each by its place."""

    def __init__(self) -> None:
        super().__init__()
        self.closed: set[str] = set()
        self._place = ""
        self._heads: list[str] = []
        self._column = 0
        self._kind = ""
        self._cell: list[str] | None = None
        self._opens = False
        self._row_opens = False
        self._single = False
        self._number = False
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of where it begins."""
        known = {name: value or "" for name, value in attrs}
        classes = known.get("class", "").split()
        if tag == "a" and known.get("href"):
            self._opens = True
            self._single |= self._column == 0 and known["href"].startswith(SINGLE)
        if tag == "section" and "card" in classes:
            self._place, self._opens, self._kind = known["aria-labelledby"], False, "card"
        elif tag == "p" and "figure" in classes:
            self._begin()
        elif tag == "ul" and "legend" in classes:
            self._kind = "legend"
        elif tag == "table" and {"figures", "grid", "compact"} & set(classes):
            self._place, self._heads = known.get("data-table", ""), []
            self._kind = next(one for one in ("figures", "grid", "compact") if one in classes)
        elif tag == "tr":
            self._column, self._row_opens, self._single = 0, False, False
        elif tag in {"th", "td"} and self._kind in {"figures", "grid", "compact"}:
            self._number = "number" in classes or self._kind != "figures"
            self._begin()

    def _begin(self) -> None:
        self._cell = []
        if self._kind != "card":
            self._opens = False

    def handle_data(self, data: str) -> None:
        """Take note of what stands there."""
        if self._cell is not None:
            self._cell.append(data)

    def handle_endtag(self, tag: str) -> None:
        """Judge what ended."""
        text = next((one.strip() for one in self._cell or () if one.strip()), "")
        if tag == "section" and self._kind == "card":
            self._judge(self._place)
            self._kind = ""
        elif tag == "p" and self._kind == "card" and self._cell is not None:
            self._text, self._cell = text, None
        elif tag in {"th", "td"} and self._cell is not None:
            self._cell = None
            self._ended(text, tag)
        elif tag == "table":
            self._kind = ""

    def _judge(self, place: str) -> None:
        if not self._opens and NUMBER.search(self._text):
            self.closed.add(place)

    def _ended(self, text: str, tag: str) -> None:
        if self._column == 0 and tag == "th":
            self._row_opens = self._opens
            self._single |= text in UNSAID
        if len(self._heads) <= self._column:
            self._heads.append(text)
        else:
            self._text = text
            opens = self._opens
            self._opens = self._opens or (self._kind != "figures" and self._row_opens)
            if tag == "td" and self._number and not self._single:
                column = f"/{self._heads[self._column]}" if self._kind == "figures" else ""
                self._judge(f"{self._place}{column}")
            self._opens = opens
        self._column += 1


def some(links: dict[str, int]) -> dict[str, int]:
    """The links, of those that differ in values alone (the cells of a grid) the most telling."""
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for href in sorted(links, key=lambda one: -links[one]):
        alike[urlsplit(href).path, *sorted(parse_qs(urlsplit(href).query))].append(href)
    return {href: links[href] for named in alike.values() for href in named[:ALIKE]}


@pytest.mark.parametrize("path", PAGES)
def test_every_number_opens_something(client: httpx.Client, path: str) -> None:
    """Cards, cells of tables and grids, rows of charts: a link, or a reason why there is none."""
    times = {"from": (END - timedelta(days=7)).isoformat(), "to": END.isoformat()}
    page = client.get(f"{path}?{urlencode(times)}")
    numbers = Numbers()
    numbers.feed(page.text)
    closed = {one for one in numbers.closed if not {one, one.partition("/")[0]} & set(UNOPENED)}
    assert sorted(closed) == []


@pytest.mark.parametrize("asked", OF_PAGES)
@pytest.mark.parametrize("path", PAGES)
def test_a_number_opens_what_it_counts(
    client: httpx.Client, counted: dict[str, int], path: str, asked: str
) -> None:
    """Each link that counts, on each page and in each of its parts: a list of the same length."""
    times = {"from": (END - timedelta(days=7)).isoformat(), "to": END.isoformat()}
    page = client.get(f"{path}?{urlencode({**times, **OF_PAGES[asked]}, doseq=True)}")
    assert page.status_code == 200
    links = some({unescape(href): int(counts) for href, counts in LINK.findall(page.text)})
    assert links or path not in COUNTING or asked != "times"
    found = {href: entries(client, counted, href) for href in links}
    wrong = {href: (links[href], found[href]) for href in links if links[href] != found[href]}
    assert wrong == {}
