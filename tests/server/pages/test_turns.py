"""The page of turns: order, search, and page after page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from typing import TYPE_CHECKING

import pytest

from otel_chat.server.api.security import COOKIE
from tests import web
from tests.server.given import NOON, Given
from tests.server.pages import scenes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.server.pages.conftest import Site


@pytest.fixture
def client(site: Site, given: Given) -> Iterator[httpx.Client]:
    with web.Client(base_url=site.address, cookies={COOKIE: given.tenant}) as opened:
        yield opened


def many(given: Given) -> None:
    """A hundred and twenty turns of the last hours, each a second longer than the one before."""
    since = (datetime.now(UTC) - NOON).total_seconds()
    for number in range(120):
        said = scenes.content("user", f"Question {number}")
        given.turn(
            f"c-{number % 7}", since - 60 * (121 - number), number + 1.0, input_messages=said,
            cost=f"0.{(number * 37) % 120:03d}",
        )  # fmt: skip
    given.save()


def said(page: str) -> list[int]:
    return [int(number) for number in re.findall(r"<q>Question (\d+)</q>", page)]


def address(page: str, words: str) -> str:
    found = re.search(rf'<a href="([^"]+)"[^>]*>{words}', page)
    assert found, words
    return unescape(found[1])


def test_turns_are_read_page_by_page(client: httpx.Client, given: Given) -> None:
    """Each once, in the order of the head that was clicked, filters kept; and back."""
    many(given)
    first = client.get("/turns?window=24h&agent_not=x").text
    assert said(first) == [*range(119, 19, -1)]
    dearest = client.get(address(first, "Cost")).text
    by_cost = sorted(range(120), key=lambda number: -((number * 37) % 120))
    assert said(dearest) == by_cost[:100]
    assert 'aria-sort="descending"' in dearest
    assert "the dearest first" in dearest
    following = client.get(address(dearest, "Next 100")).text
    assert said(following) == by_cost[100:]
    assert "window=24h&agent_not=x&sort=-cost" in address(following, "Back to the first")
    cheapest = client.get(address(dearest, "Cost")).text
    assert said(cheapest) == by_cost[:19:-1]


def test_turns_are_searched(client: httpx.Client, given: Given, site: Site) -> None:
    """By what was said in them; how many is told; who may not read, is not offered it."""
    many(given)
    page = client.get("/turns?search=QUESTION+11&sort=started").text
    assert said(page) == [11, *range(110, 120)]
    assert re.search(r'class="figure[^>]*>11<', page)
    nothing = client.get("/turns?search=walrus").text
    assert "No turn of this window is like that." in nothing
    assert 'value="walrus"' in nothing
    site.keys.permissions[given.tenant] = frozenset({"analytics:view"})
    assert 'name="search"' not in client.get("/turns").text
    assert client.get("/turns?search=walrus").status_code == 403


def test_an_order_that_there_is_none_of_is_refused(client: httpx.Client, given: Given) -> None:
    """And an order of turns is none of conversations: it stays on its page."""
    many(given)
    wrong = client.get("/turns?sort=size")
    assert wrong.status_code == 422
    assert "-response" in wrong.text
    page = client.get("/turns?sort=-confidence&search=Question").text
    assert 'href="/conversations"' in page
