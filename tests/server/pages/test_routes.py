"""The routes of the pages, as a program sees them: statuses, headers, redirects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from markupsafe import escape

from otel_chat.server.api.security import COOKIE
from otel_chat.server.pages import assets, links
from tests import web
from tests.server.given import Given
from tests.server.pages.conftest import Site
from tests.server.pages.test_browser import ago
from tests.server.pages.test_sheets import PATHS, told

RUNBOOKS = Path(__file__).parents[3] / "docs" / "runbooks"


@pytest.fixture
def client(site: Site, given: Given) -> Iterator[httpx.Client]:
    """Signed in to the tenant of the test."""
    with web.Client(base_url=site.address, cookies={COOKIE: given.tenant}) as opened:
        yield opened


def test_pages_bind_the_browser(client: httpx.Client, given: Given) -> None:
    """Every page has a strict policy, and nothing in it that the policy would have to allow."""
    given.turn("c", ago(60))
    given.save()
    for path in (
        "/",
        "/conversations",
        "/conversations/c",
        "/runbooks/ChatNoTraffic.md",
        "/nowhere",
    ):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        text = answer.text
        assert " style=" not in text
        assert "<style" not in text
        assert " onclick" not in text
        for script in text.split("<script")[1:]:
            assert script.lstrip().startswith("src=")
            assert script.split(">", 1)[1].startswith("</script>")


def test_runbooks_are_pages_for_everybody(site: Site) -> None:
    """Each alert's page is there without a token, and its links stay among pages that are there."""
    with web.Client(base_url=site.address, follow_redirects=True) as anyone:
        index = anyone.get("/runbooks")
        assert index.status_code == 200
        names = [path.stem for path in RUNBOOKS.glob("*.md")]
        assert len(names) > 30
        for name in names:
            answer = anyone.get(f"/runbooks/{name}.md")
            assert answer.status_code == 200
            article = answer.text.split("<article")[1].split("</article>")[0]
            assert name == "README" or f"<h1>{name}</h1>" in article
            for link in re.findall(r'href="([^"#:]+)[^":]*"', article):
                assert Path(link).stem in names, (name, link)
        assert anyone.get("/runbooks/Nobody.md").status_code == 404


def test_what_runbooks_name_is_there(client: httpx.Client) -> None:
    """Whoever follows a runbook at night finds the page or address that it names."""
    text = "".join(path.read_text() for path in RUNBOOKS.glob("*.md"))
    named = set(re.findall(r"`(/[a-z][^` ]*)`", text)) - {"/rules"}  # Prometheus' own page
    assert len(named) > 15
    for address in named:
        answer = client.get(address.replace("TRACE_ID", "0" * 32), follow_redirects=True)
        assert answer.status_code != 404 or "TRACE_ID" in address, address


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/nowhere", 404, "There is nothing here"),
        ("/conversations/nobody", 404, "There is no conversation of this id."),
        (f"/traces/{'0' * 32}", 404, "There is no trace of this id."),
        ("/traces/xyz", 422, "32 hexadecimal digits"),
        ("/?window=1y", 422, "window"),
        ("/?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", 422, "must lie before"),
        ("/?from=01.02.2026", 422, "write a day as 2026-11-01, or a moment"),
        ("/compare?from_b=2026-02-30&to_b=2026-03-01T00:00:00Z", 422, "from_b"),
        ("/?from=2026-02-01&timezone=Nowhere/Land", 422, "A time zone is named"),
        ("/conversations?cursor=made-up", 422, "cursor"),
    ],
)
def test_what_is_wrong_is_told_on_a_page(
    client: httpx.Client, path: str, status: int, said: str
) -> None:
    """A wrong address or parameter answers with its status and a page that says what is wrong."""
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert said in answer.text


FURTHER = ("/compare", "/live", "/exports", "/settings")


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_figures_without_data_says_so(client: httpx.Client, path: str) -> None:
    """No zeros, no empty tables: a sentence and a way on."""
    text = client.get(path).text
    assert re.search(r'class="empty".*?<h2[^>]*>Nothing in this window</h2>', text, re.DOTALL)
    assert "<table" not in text


@pytest.mark.parametrize("path", [*PATHS, *FURTHER[:3]])
def test_without_the_store_a_page_says_so(client: httpx.Client, site: Site, path: str) -> None:
    """As a page with a way on, not as a stack of words."""
    site.store.away = True
    try:
        answer = client.get(path)
    finally:
        site.store.away = False
    assert answer.status_code == 503
    assert "The store is away for the moment</h1>" in answer.text
    assert f'href="{path}">Try again</a>' in answer.text


@pytest.mark.parametrize("path", [*PATHS, *FURTHER])
def test_without_the_right_a_page_is_refused(
    client: httpx.Client, site: Site, given: Given, path: str
) -> None:
    """Who may only send sees no figure, but what is missing."""
    told(given, "secret-parcel")
    site.keys.permissions[given.tenant] = frozenset({"ingest:write"})
    answer = client.get(path)
    assert answer.status_code == 403
    assert "This page is not yours to see</h1>" in answer.text
    assert "needs a token with the scope analytics:view" in answer.text
    assert "secret-parcel" not in answer.text


def test_programs_get_json_for_what_is_not_there(client: httpx.Client) -> None:
    """Under /api and /v1 a missing address answers in JSON, not as a page."""
    for path in ("/api/v1/nothing", "/api/nothing", "/v1/nothing"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("application/json")


def test_an_unforeseen_error_is_told_without_its_details(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the program answers 500 with a page; what it says goes to the log only."""

    def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("otel_chat.server.pages.router.figures.overview_and_series", fail)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "Something went wrong" in answer.text
    assert "secret detail" not in answer.text


def test_empty_filters_leave_the_address(client: httpx.Client, site: Site) -> None:
    """A form's empty fields are taken out of the address; the rest stays as it was."""
    answer = client.get("/conversations?agent=&window=24h&channel=a%26b")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/conversations?window=24h&channel=a%26b"
    elsewhere = client.get(f"{site.address}//example.org?agent=")
    assert elsewhere.headers["location"] == "/example.org"


@pytest.mark.parametrize(
    ("asked", "moments"),
    [
        ("from=2026-10-25&to=2026-10-25", ("2026-10-25T00:00:00Z", "2026-10-26T00:00:00Z")),
        (
            "from=2026-10-25&to=2026-10-25&timezone=Europe%2FBerlin",
            ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        ),
        ("from=2026-10-25T08:30&to=2026-10-25", ("2026-10-25T08:30:00Z", "2026-10-26T00:00:00Z")),
    ],
)
def test_days_in_an_address_become_moments(
    client: httpx.Client, asked: str, moments: tuple[str, str]
) -> None:
    """Of the zone that the address names, so that they mean the same on every page."""
    for path in ("/", "/conversations", "/compare"):
        answer = client.get(f"{path}?{asked}")
        assert answer.status_code == 303
        query = httpx.URL(answer.headers["location"]).params
        assert (query["from"], query["to"]) == moments
        assert client.get(answer.headers["location"]).status_code == 200


def test_without_a_token_there_is_a_form(site: Site, given: Given) -> None:
    """Whoever has no token is asked for one, and is led to where they wanted to go."""
    with web.Client(base_url=site.address) as client:
        answer = client.get("/conversations?window=24h")
        assert answer.status_code == 401
        assert 'action="/sign-in"' in answer.text
        assert 'value="/conversations?window=24h"' in answer.text
        wanted = {"next": "/conversations?window=24h"}
        wrong = client.post("/sign-in", data={"token": "wrong"} | wanted)
        assert wrong.status_code == 401
        assert 'value="/conversations?window=24h"' in wrong.text  # a second try leads there, too
        assert "set-cookie" not in wrong.headers
        right = client.post(
            "/sign-in", data={"token": given.tenant, "next": "/conversations?window=24h"}
        )
        assert right.status_code == 303
        assert right.headers["location"] == "/conversations?window=24h"
        cookie = right.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/conversations").status_code == 200


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("password", "one begins with otc_"),
        ("otc_12ab", "no whole token"),
        ("otc_12ab_se cret", "no whole token"),
        ("otc_12ab_secret", "look for a typing error"),
        ('otc_"><script>', "no whole token"),
    ],
)
def test_a_mistyped_token_can_be_mended(site: Site, typed: str, said: str) -> None:
    """What is wrong is said beside the field, which keeps what was typed."""
    answer = web.post(f"{site.address}/sign-in", data={"token": typed, "next": "/live"})
    assert answer.status_code == 401
    assert said in answer.text
    assert f'value="{escape(typed)}"' in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert "no-store" in answer.headers["cache-control"]


def test_a_page_says_who_is_signed_in(site: Site, given: Given) -> None:
    """By the token's name and its tenant, also on a page that is not theirs; not by its text."""
    with web.Client(base_url=site.address) as client:
        assert "Signed in as" not in client.get("/").text
        client.post("/sign-in", data={"token": given.tenant, "next": "/"})
        who = f"reader · {given.tenant}"
        assert f'Signed in as </span><bdi title="{who}">{who}</bdi>' in client.get("/").text
        site.keys.permissions[given.tenant] = frozenset()
        refused = client.get("/")
        site.keys.permissions.pop(given.tenant)
        assert refused.status_code == 403
        assert who in refused.text


def test_whoever_signed_in_can_sign_out(site: Site, given: Given) -> None:
    """The page has a button for those with a cookie alone; after it a token is asked for again."""
    with web.Client(base_url=site.address) as client:
        assert "/sign-out" not in client.get("/").text
        client.post("/sign-in", data={"token": given.tenant, "next": "/"})
        assert 'action="/sign-out"' in client.get("/").text
        answer = client.post("/sign-out")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert client.get("/").status_code == 401


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/",
        "//example.org",
        "/\\example.org",
        "javascript:x",
        "",
        "/\t/example.org",
    ],
)
def test_signing_in_leads_to_no_other_site(site: Site, given: Given, address: str) -> None:
    """Whatever `next` says, the reader stays on this site."""
    answer = web.post(f"{site.address}/sign-in", data={"token": given.tenant, "next": address})
    assert answer.headers["location"] == "/"


def test_another_tenants_conversation_is_not_there(
    client: httpx.Client, site: Site, given: Given
) -> None:
    """A reader of one tenant gets 404 for the conversation and the trace of another."""
    row = given.turn("private", ago(60))
    given.save()
    assert client.get("/conversations/private").status_code == 200
    with web.Client(base_url=site.address, cookies={COOKIE: "tenant-other"}) as stranger:
        assert stranger.get("/conversations/private").status_code == 404
        assert stranger.get(f"/traces/{row['trace_id']}").status_code == 404
        assert "private" not in stranger.get("/conversations").text


def test_static_files_are_kept_for_good(site: Site) -> None:
    """The present version may be kept for a year, another only until asked again."""
    address = assets.address("js/app.js")
    answer = web.get(f"{site.address}{address}")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.content == (assets.ROOT / "js" / "app.js").read_bytes()
    plain = web.get(f"{site.address}{address}", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content
    old = web.get(f"{site.address}/static/000000000000/js/app.js")
    assert old.status_code == 200
    assert old.headers["cache-control"] == "no-cache"
    for path in ("js/nothing.js", "../router.py", "%2e%2e/router.py", ""):
        assert web.get(f"{site.address}/static/x/{path}").status_code == 404


@for_all(st.text(max_size=60), st.none() | st.text("0123456789abcdef", min_size=16, max_size=16))
def test_a_link_to_a_conversation_keeps_its_id(name: str, turn: str | None) -> None:
    """From the link alone the id can be read again, whatever characters it has."""
    address = links.conversation(name.encode("utf-8", "replace").decode(), turn=turn)
    expected = name.encode("utf-8", "replace").decode()
    parts = urlsplit(address)
    assert not parts.netloc
    if parts.path == "/conversations":
        assert expected in {"", ".", ".."}
    else:
        assert parts.path.count("/") == 2
        assert unquote(parts.path.removeprefix("/conversations/")) == expected
    assert parts.fragment == (f"turn-{turn}" if turn else "")
