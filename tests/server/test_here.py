"""Links and redirects that a request has a say in lead to no other site."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given as examples
from hypothesis import strategies

from otel_chat.server.here import here, is_here

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

SITE = "http://127.0.0.1:8400"
ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\x00/evil.example",
    "https://evil.example/",
    "https:evil.example",
    "javascript:alert(1)",
    " //evil.example",
    "",
    "evil.example",
]


def led_to(address: str) -> str:
    """The host that a browser goes to from a page of ours: as the URL standard reads addresses."""
    stripped = re.sub(r"[\t\r\n]", "", address.strip("".join(map(chr, range(33)))))
    return urlsplit(urljoin(SITE, stripped.replace("\\", "/"))).netloc


@pytest.mark.parametrize("address", ELSEWHERE)
def test_what_leads_elsewhere_is_no_address_of_this_site(address: str) -> None:
    """Nor is what looks like one to us and not to a browser."""
    assert not is_here(address)
    assert here(address) == "/"


@examples(strategies.text("/\\:?#@.a\t\n\r\x00 ", max_size=8).map("/".__add__) | strategies.text())
def test_whatever_is_asked_for_the_browser_stays_here(address: str) -> None:
    """Led by what the one rule lets through."""
    assert led_to(here(address)) == "127.0.0.1:8400"


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/x",
        "/%2Fevil.example/x",
        "/%5Cevil.example/x",
        "/\\evil.example/x",
        "/%09/evil.example/x",
        "/%2F%2Fevil.example",
        "///evil.example/x",
    ],
)
@pytest.mark.parametrize("query", ["", "?agent=&a=b", "?next=//evil.example"])
def test_no_page_of_an_error_leads_to_another_site(
    client: TestClient, path: str, query: str
) -> None:
    """Neither its links and forms, nor a redirect to a tidier address."""
    for signed_out in (False, True):
        if signed_out:
            client.app.state.access.tokens.create("a", scopes=["admin"], tenants=["*"])  # type: ignore[attr-defined]
        answer = client.get(f"{SITE}{path}{query}", follow_redirects=False)
        found = re.findall(r'(?:href|value|action)="([^"]*)"', answer.text)
        for address in [*map(html.unescape, found), answer.headers.get("location", "/")]:
            assert led_to(address) == "127.0.0.1:8400", address


@pytest.mark.parametrize("address", ELSEWHERE)
def test_signing_in_leads_to_this_site(client: TestClient, address: str) -> None:
    """Whatever the field `next` says, it is the overview."""
    made = client.app.state.access.tokens.create("a", scopes=["admin"], tenants=["*"])  # type: ignore[attr-defined]
    form = {"token": made.token, "next": address}
    answer = client.post("/sign-in", data=form, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_another_site_signs_nobody_in(client: TestClient, headers: dict[str, str]) -> None:
    """With a token of its own, to see what the reader does then."""
    made = client.app.state.access.tokens.create("a", scopes=["admin"], tenants=["*"])  # type: ignore[attr-defined]
    answer = client.post("/sign-in", data={"token": made.token, "next": "/"}, headers=headers)
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
