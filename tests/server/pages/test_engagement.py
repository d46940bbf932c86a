"""The page of engagement: lengths, leads, the funnel, and by what people come."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from otel_chat.server.api.security import COOKIE
from tests import web
from tests.server.pages.test_browser import ago

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.server.given import Given
    from tests.server.pages.conftest import Site

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def client(site: Site, given: Given) -> Iterator[httpx.Client]:
    with web.Client(base_url=site.address, cookies={COOKIE: given.tenant}) as opened:
        yield opened


def rows(page: str, table: str) -> list[list[str]]:
    """The texts of the cells of a table, by row."""
    found = re.search(rf'data-table="{table}">(.*?)</table>', page, re.DOTALL)
    assert found, table
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
             for row in found[1].split("<tr>")[2:]]  # fmt: skip
    text = [[re.sub(r"<[^>]+>", " ", cell) for cell in row] for row in cells]
    return [[" ".join(cell.replace("\u202f", " ").split()) for cell in row] for row in text]


def test_what_comes_of_conversations(client: httpx.Client, given: Given) -> None:
    """Worked out by hand: three conversations of 1, 2 and 5 turns, two on the web, one lead."""
    for name, turns, channel in (("a", 1, "web"), ("b", 2, "web"), ("c", 5, "mobile")):
        for number in range(turns):
            given.turn(name, ago(7200 - 60 * number), channel=channel, user_agent=FIREFOX,
                       page="/shop", intent="buy" if name != "a" else "")  # fmt: skip
    given.event("lead", "b", ago(7000), lead_kind="signup")
    given.save()
    page = client.get("/engagement?window=24h").text
    lengths = rows(page, "chart-lengths")
    assert [row for row in lengths if row[1] != "0"] == [["1", "1"], ["2", "1"], ["4 to 5", "1"]]
    assert re.search(r'href="[^"]*event=otel_chat.lead" data-counts="1">1 conversations', page)
    assert rows(page, "lead-kinds") == [["signup", "1", "1", "33 % 6 to 79 %"]]
    funnel = rows(client.get("/engagement/funnel?window=24h").text, "funnel")
    assert [row[:2] for row in funnel[:2]] == [
        ["Said something", "3"],
        ["Were understood: an intent matched", "2"],
    ]
    who = client.get("/engagement/who?window=24h").text
    assert [row[:2] for row in rows(who, "by-channel")] == [["web", "2"], ["mobile", "1"]]
    assert 'first_channel=web" data-counts="2"' in who
    machines = client.get("/engagement/machines?window=24h").text
    assert [row[:2] for row in rows(machines, "by-browser")] == [["Firefox", "3"]]


def test_what_was_never_told_says_how_to_report_it(client: httpx.Client, given: Given) -> None:
    """One line each, in place of an empty table."""
    given.turn("a", ago(60))
    given.save()
    whole = client.get("/engagement").text
    assert "No lead was told: call turn.lead(kind) in the handler." in whole
    assert "no user was told: report user_id= with a turn" in whole
    for part, told in (
        ("places", "None was told: report page= with a turn."),
        ("places", "None was told: report referrer= with a turn."),
        ("who", "None was told: report channel= with a turn."),
        ("machines", "pass the User-Agent header on"),
    ):
        page = client.get(f"/engagement/{part}").text
        assert told in page
        assert "<table" not in page
