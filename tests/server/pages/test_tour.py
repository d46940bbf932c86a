from __future__ import annotations

import html
import re
from collections.abc import Iterator

import httpx
import pytest

from otel_chat.errors import ConfigurationError
from otel_chat.server.pages.render import NAVIGATION
from otel_chat.server.sample import Sample, Step
from otel_chat.server.settings import read_settings
from tests import web
from tests.server.given import Given
from tests.server.pages.conftest import Site

STEPS = (
    Step(label="What changed", address="/", text="Read the sentence."),
    Step(label="Read one", address="/conversations?failed=true", text="Open one."),
)


@pytest.fixture
def client(site: Site, given: Given) -> Iterator[httpx.Client]:
    sample = Sample(about="Made up.", removal="Stop it:", command="rm -r ./sample", steps=STEPS)
    usual = site.app.state.settings
    site.app.state.settings = usual.model_copy(update={"sample": sample})
    with web.Client(base_url=site.address, headers={"origin": site.address}) as client:
        client.post("/sign-in", data={"token": given.tenant, "next": "/"})
        yield client
    site.app.state.settings = usual


def strip(client: httpx.Client, path: str) -> str:
    """The words of the strip of a page; empty where there is none."""
    found = re.search(r'<aside class="sample-data".*?</aside>', client.get(path).text, re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", found[0])).split()) if found else ""


def test_every_page_says_that_its_data_is_a_sample(client: httpx.Client) -> None:
    """With how to be rid of it, also where there is nothing and where a token is missing."""
    for path in (*(entry.path for entry in NAVIGATION), "/docs", "/nothing-here"):
        assert "Sample data Made up. Remove it Stop it: rm -r ./sample" in strip(client, path), path
    client.cookies.clear()
    assert "Sample data" in strip(client, "/")


def test_without_a_sample_no_page_speaks_of_one(site: Site, given: Given) -> None:
    """A server of real data has neither mark nor tour."""
    with web.Client(base_url=site.address) as reader:
        reader.post("/sign-in", data={"token": given.tenant, "next": "/"})
        assert strip(reader, "/") == ""


def test_the_tour_leads_from_step_to_step(client: httpx.Client) -> None:
    """A page that is a step says what is to be seen and where to go on; others where to begin."""
    first = strip(client, "/")
    assert first.endswith("Read the sentence. Next: read one")
    current = '<a href="/conversations?failed=true" aria-current="step">'
    assert current in client.get(STEPS[1].address).text
    assert current not in client.get("/").text
    assert strip(client, STEPS[1].address).endswith("Open one.")
    elsewhere = strip(client, "/settings")
    assert elsewhere.endswith("2 steps lead to what is wrong here. Begin: what changed")


def test_the_tour_can_be_hidden_and_taken_again(client: httpx.Client) -> None:
    """Hidden in this browser on every page; the mark stays, and a button brings it back."""
    done = client.post("/tour", data={"next": "/conversations"})
    assert (done.status_code, done.headers["location"]) == (303, "/conversations")
    assert strip(client, "/").endswith("Take the tour")
    assert "Sample data" in strip(client, "/")
    client.post("/tour", data={"next": "/", "show": "yes"})
    assert "What changed" in strip(client, "/")


def test_hiding_leads_to_no_other_site(client: httpx.Client) -> None:
    """Whatever `next` says, the reader stays on this site."""
    done = client.post("/tour", data={"next": "//example.org"})
    assert done.headers["location"] == "/"


def test_a_step_outside_of_the_site_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server does not start with it, and says which variable is wrong."""
    monkeypatch.setenv(
        "OTEL_CHAT_SERVER_SAMPLE",
        '{"about": "a", "removal": "b", "command": "c",'
        ' "steps": [{"label": "d", "text": "e", "address": "//example.org"}]}',
    )
    with pytest.raises(ConfigurationError, match=r"sample.steps.0.address .*one slash"):
        read_settings()
