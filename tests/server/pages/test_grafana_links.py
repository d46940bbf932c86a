"""Links of Grafana's dashboards, filled in as Grafana does, followed to the pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from grafana.generate import files
from otel_chat.server.api.security import COOKIE
from otel_chat.server.figures.fields import FIELDS
from tests import web
from tests.server.given import Given
from tests.server.pages.conftest import Site
from tests.server.pages.test_browser import ago

OTHERS = {"from", "to", "window", "sort", "by"}
VARIABLES = {"environment": ["test"], "agent": ["support", "s & t"], "channel": ["web"]}


@pytest.fixture
def client(site: Site, given: Given) -> Iterator[httpx.Client]:
    """Signed in to the tenant of the test."""
    with web.Client(base_url=site.address, cookies={COOKIE: given.tenant}) as opened:
        yield opened


def links_of(built: Any) -> Iterator[str]:
    """Every address in a dashboard that leads to a list of the analytics server."""
    if isinstance(built, list):
        for one in built:
            yield from links_of(one)
    elif isinstance(built, dict):
        url = built.get("url")
        if isinstance(url, str) and url.startswith("${analytics}/") and "?" in url:
            yield url
        for inside in built.values():
            yield from links_of(inside)


def followed(url: str, chosen: dict[str, list[str]]) -> str:
    """A link as the browser follows it.

    Args:
        url: Of a dashboard.
        chosen: The values of variables; all of the others.
    """

    def written(found: re.Match[str]) -> str:
        name, form = found[1], found[2] or ""
        if name.startswith("__from"):
            return f"{datetime.now(UTC) - timedelta(hours=1):%FT%TZ}"
        if name.startswith("__to"):
            return f"{datetime.now(UTC) + timedelta(minutes=1):%FT%TZ}"
        if not form.startswith("customqueryparam"):
            return {"analytics": "", "window": "24h"}.get(name, "resolved")
        if name not in chosen:
            return ".*"  # as scenes' CustomAllValue writes it
        key = form.partition(":")[2] or name
        values = (value.replace(" ", "%20").replace("&", "%26") for value in chosen[name])
        return "&".join(f"{key}={value}" for value in values)

    return re.sub(r"\$\{([\w.]+)(?::([\w:]+))?\}", written, url)


EVERY = sorted({url for text in files().values() for url in links_of(json.loads(text))})


def test_every_link_opens_the_page_with_its_conditions(client: httpx.Client, given: Given) -> None:
    """With all and with some of what can be chosen: no filter is unknown, each is shown as set."""
    given.turn("c", ago(60), agent="support")
    given.save()
    assert len(EVERY) > 30
    for url in EVERY:
        for chosen in ({}, VARIABLES):
            answer = client.get(followed(url, chosen), follow_redirects=True)
            assert answer.status_code == 200, (url, answer.text[:500])
            assert ".*" not in answer.text
            for name in re.findall(r"[?&](\w+)=", followed(url, chosen)):
                field = re.sub("_(not|like|min|max|below)$", "", name)
                assert field in FIELDS or name in OTHERS, url


def test_a_link_keeps_what_was_chosen(client: httpx.Client, given: Given) -> None:
    """Failed turns of one agent: the list has those alone, whatever is in the agent's name."""
    given.turn("mine", ago(60), agent="s & t", status="error")
    given.turn("well", ago(60), agent="s & t")
    given.turn("other", ago(60), agent="sales", status="error")
    given.save()
    failed = next(url for url in EVERY if "/turns?" in url and "failed=true" in url)
    answer = client.get(followed(failed, {"agent": VARIABLES["agent"]}), follow_redirects=True)
    page = answer.text
    assert "/conversations/mine" in page
    assert "/conversations/well" not in page
    assert "/conversations/other" not in page
