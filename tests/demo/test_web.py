from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser

import httpx
import pytest

from otel_chat.demo.bot import SupportBot
from otel_chat.demo.web import MESSAGE_LIMIT, create_app
from tests.demo.conftest import Telemetry


@pytest.fixture
async def http(telemetry: Telemetry) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(SupportBot(pace=0), analytics="http://127.0.0.1:8400")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bot") as client:
        yield client


async def opened(http: httpx.AsyncClient) -> str:
    answer = await http.post("/api/conversations", json={"channel": "web"})
    assert answer.status_code == 201
    return f"/api/conversations/{answer.json()['conversation_id']}"


class Page(HTMLParser):
    """Notes what a strict policy and a screen reader care about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.inputs: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Takes one tag."""
        given = dict(attrs)
        if tag == "style" or "style" in given or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        self.inline += [name for name in given if name.startswith("on")]
        self.ids += [given["id"] or ""] if "id" in given else []
        if tag == "label":
            self.labelled.add(given.get("for") or "")
        if tag == "input":
            self.inputs.append(given.get("id") or "")


async def test_the_page_keeps_to_its_own_policy(http: httpx.AsyncClient) -> None:
    """No inline script or style, each id once, each field labelled, a strict policy in force."""
    answer = await http.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = Page(answer.text)
    assert page.inline == []
    assert len(set(page.ids)) == len(page.ids)
    assert set(page.inputs) <= page.labelled


async def test_the_page_and_its_files_name_no_other_host(http: httpx.AsyncClient) -> None:
    """All that the page loads comes from the bot itself; one link leads to the analytics."""
    page = (await http.get("/")).text
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert {s for s in sources if s.startswith("http")} == {"http://127.0.0.1:8400"}
    for path in {s for s in sources if s.startswith("/static/")}:
        loaded = await http.get(path)
        assert loaded.status_code == 200
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", loaded.text) == []


async def test_a_reply_comes_in_pieces_and_then_is_done(http: httpx.AsyncClient) -> None:
    """The events are pieces that make up the reply, then `done` with the state."""
    path = await opened(http)
    answer = await http.post(f"{path}/messages", json={"text": "how much is shipping"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    names = re.findall(r"^event: (\w+)$", answer.text, re.MULTILINE)
    assert names == ["piece"] * (len(names) - 1) + ["done"]
    assert len(names) > 5
    assert '{"handed_off": false, "ended": false}' in answer.text


async def test_a_failure_is_told_and_the_conversation_goes_on(http: httpx.AsyncClient) -> None:
    """A turn that fails ends with `failed` and no word of its cause; the next one is answered."""
    path = await opened(http)
    failed = await http.post(f"{path}/messages", json={"text": "where is my order 10302?"})
    assert "event: failed" in failed.text
    assert "Greyhound" not in failed.text
    again = await http.post(f"{path}/messages", json={"text": "thanks"})
    assert "event: piece" in again.text


@pytest.mark.parametrize(
    ("part", "body"),
    [
        ("messages", {"text": ""}),
        ("messages", {"text": "x" * (MESSAGE_LIMIT + 1)}),
        ("feedback", {"value": 6}),
        ("feedback", {"value": 0}),
        ("feedback", {"value": 2, "scale": "thumb"}),
        ("end", {"outcome": "won"}),
    ],
)
async def test_what_makes_no_sense_is_refused(
    http: httpx.AsyncClient, part: str, body: dict[str, object]
) -> None:
    """Empty and overlong messages, ratings off the scale and unknown outcomes get a 422."""
    path = await opened(http)
    assert (await http.post(f"{path}/{part}", json=body)).status_code == 422


async def test_an_unknown_or_ended_conversation_takes_no_messages(http: httpx.AsyncClient) -> None:
    """404 for a conversation that is not there, 409 for one that has ended."""
    missing = await http.post("/api/conversations/none/messages", json={"text": "hi"})
    assert missing.status_code == 404
    path = await opened(http)
    assert (await http.post(f"{path}/end", json={})).status_code == 204
    assert (await http.post(f"{path}/messages", json={"text": "hi"})).status_code == 409
    assert (await http.post(f"{path}/feedback", json={"value": 5})).status_code == 204
