"""Without a token only this machine gets in, and no other site changes anything."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from hypothesis import given as generated
from hypothesis import strategies as st

from otel_chat.server.api.security import COOKIE
from otel_chat.server.app import create_app
from otel_chat.server.settings import ServerSettings
from tests.examples import examples
from tests.server.served import as_new

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_chat.server.store import Store

SHOP = "https://shop.example"
OWN = ["127.0.0.1", "127.0.0.1:8400", "localhost", "LOCALHOST:1", "[::1]", "[::1]:8400"]
OTHERS = [
    "evil.example", "a{b}.evil.example", "a{b}.evil.example:8400", "a b", "", "[::1", "::1",
    "127.0.0.1.evil.example", "evil.example:8400@127.0.0.1", "user@127.0.0.1", "127.0.0.1/",
    "127.0.0.1:", "127.0.0.1:84000000", "127.0.0.1, evil.example", "localhost.", "localhost#",
    "0.0.0.0", "127.1", "2130706433", "127.0.0.1:8400\tx", "127.0.0.1?x",
]  # fmt: skip


@pytest.fixture(scope="module")
def shop(store: Store) -> TestClient:
    """A server whose feedback a shop's pages may send from the browser."""
    app = create_app(store, ServerSettings(cors_origins=(SHOP,)))
    return TestClient(app, base_url="http://127.0.0.1:8400", raise_server_exceptions=False)


@pytest.fixture
def opened(shop: TestClient, store: Store) -> Iterator[TestClient]:
    """The same without a token, as if it had just begun."""
    with shop, as_new(shop, store) as connected:
        yield connected


@pytest.mark.parametrize("host", OWN)
def test_a_name_of_this_machine_is_open_without_a_token(client: TestClient, host: str) -> None:
    """As long as none was ever made."""
    assert client.get("/api/v1/tokens", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", OTHERS)
@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v1/overview"), ("POST", "/v1/logs")])
def test_any_other_name_is_not(client: TestClient, host: str, method: str, path: str) -> None:
    """A name that cannot be read is no name of this machine: 401."""
    headers = {"host": host, "content-type": "application/json"}
    assert client.request(method, path, headers=headers, content=b"{}").status_code == 401


@examples(30, 300)
@generated(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20))
def test_no_text_around_a_name_of_this_machine_opens_it(client: TestClient, text: str) -> None:
    """Before it or behind it, nothing but a port may stand."""
    for host in (f"{text}.localhost", f"localhost.{text}", f"{text}@localhost", f"{text}x"):
        answer = client.get("/api/v1/overview", headers={"host": host})
        assert answer.status_code == 401, host


@pytest.mark.parametrize(
    "name",
    ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Via", "X-Real-IP"],
)
def test_what_a_proxy_passes_on_needs_a_token(client: TestClient, name: str) -> None:
    """It comes from somebody else, by whatever name it calls this machine."""
    for path in ("/api/v1/overview", "/", "/settings"):
        assert client.get(path, headers={name: "127.0.0.1"}).status_code == 401


ELSEWHERE: list[dict[str, str]] = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8400"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://["},
    {"origin": "http://127.0.0.1:3000"},
]


def changing(client: TestClient) -> list[tuple[str, str]]:
    """Every address and method of the application that may change something."""
    routes = client.app.routes  # type: ignore[attr-defined]
    return [
        (method, route.path_format)
        for route in routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods - {"GET", "HEAD"})
    ]


@pytest.mark.parametrize("headers", ELSEWHERE)
def test_another_site_changes_nothing(client: TestClient, headers: dict[str, str]) -> None:
    """403 everywhere, in the open and with the reader's cookie, sign-in included."""
    asked = changing(client)
    assert {("POST", "/v1/traces"), ("POST", "/sign-in"), ("POST", "/api/v1/tokens")} <= set(asked)
    for cookie in (None, "otc_a_b"):
        client.cookies.clear()
        if cookie:
            client.cookies.set(COOKIE, cookie)
        for method, path in asked:
            answer = client.request(method, path, headers=headers)
            assert answer.status_code == 403, (method, path)
            assert "Another site" in answer.text or path.startswith("/v1/")


def test_a_sign_in_from_this_site_or_a_program_goes_through(client: TestClient) -> None:
    """It is the token that counts then."""
    made = client.app.state.access.tokens.create("t", scopes=["admin"], tenants=["*"])  # type: ignore[attr-defined]
    for headers in (
        {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8400"},
        {"origin": "http://127.0.0.1:8400"},
        {"sec-fetch-site": "none"},
        {},
    ):
        answer = client.post(
            "/sign-in", data={"token": made.token}, headers=headers, follow_redirects=False
        )
        assert (answer.status_code, COOKIE in answer.cookies) == (303, True)


def test_a_named_origin_may_send_feedback_and_nothing_else(opened: TestClient) -> None:
    """Other addresses tell browsers nothing of it, and take nothing from it."""
    asked = {"origin": SHOP, "access-control-request-method": "POST"}
    for path, told in (
        ("/api/v1/feedback", SHOP),
        ("/api/v1/tokens", None),
        ("/api/v1/conversations/c/outcome", None),
        ("/v1/traces", None),
        ("/api/v1/feedback/comments", None),
    ):
        answer = opened.options(path, headers=asked)
        assert answer.headers.get("access-control-allow-origin") == told, path
    for path in ("/api/v1/feedback", "/api/v1/overview", "/api/v1/tokens"):
        answer = opened.get(path, headers={"origin": SHOP})
        assert (answer.status_code, answer.headers.get("access-control-allow-origin")) == (
            200,
            None,
        )
    told = {"conversation_id": "c", "value": 3}
    crossing = {"origin": SHOP, "sec-fetch-site": "cross-site"}
    answer = opened.post("/api/v1/feedback", json=told, headers=crossing)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (201, SHOP)
    evil = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert opened.post("/api/v1/feedback", json=told, headers=evil).status_code == 403
    assert opened.post("/api/v1/tokens", json={}, headers=crossing).status_code == 403


def test_a_body_with_two_lengths_is_refused(server: str) -> None:
    """Over a real connection, which is closed: what follows may be meant as another request."""
    port = int(server.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(
            b"POST /v1/logs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        )
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert b"Content-Length or Transfer-Encoding" in answer
