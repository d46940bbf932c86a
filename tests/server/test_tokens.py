"""Tokens: made, shown once, kept hashed, expired, revoked."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from otel_chat.errors import AccessError, ConfigurationError
from otel_chat.server.access import OPEN, Access, IngestGrant, Scope
from otel_chat.server.api.security import COOKIE
from otel_chat.server.tokens import CACHE_SECONDS, NewToken, TokenStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.testclient import TestClient

    from otel_chat.server.store import Store


class Clocks:
    """A wall clock and a monotonic one that stand still."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 10, 12, tzinfo=UTC)
        self.monotonic = 0.0

    def tokens(self, store: Store) -> TokenStore:
        """Tokens that go by these clocks."""
        return TokenStore(store, now=lambda: self.now, monotonic=lambda: self.monotonic)


@pytest.fixture
def clocks(store: Store) -> Iterator[Clocks]:
    store.command("TRUNCATE TABLE tokens")
    yield Clocks()
    store.command("TRUNCATE TABLE tokens")


def make(tokens: TokenStore, **options) -> NewToken:
    wanted = {"scopes": ["analytics:view"], "tenants": ["acme"], **options}
    return tokens.create("viewer", **wanted)


def test_a_token_carries_its_scopes_and_tenants(store: Store, clocks: Clocks) -> None:
    """What was asked for is what the token gives."""
    tokens = clocks.tokens(store)
    made = make(tokens, scopes=["export:create", "analytics:view"], tenants=["b", "a"])
    expected = Scope(frozenset({"a", "b"}), frozenset({"analytics:view", "export:create"}))
    found = tokens.verify(made.token)
    assert found == expected
    assert found.name == made.name


def test_a_star_stands_for_every_tenant(store: Store, clocks: Clocks) -> None:
    """A token for `*` is not limited to any tenant."""
    tokens = clocks.tokens(store)
    scope = tokens.verify(make(tokens, tenants=["*"]).token)
    assert scope is not None
    assert scope.tenants is None


def test_the_text_of_a_token_is_nowhere_in_the_store(store: Store, clocks: Clocks) -> None:
    """Neither the token nor its secret is kept, and no list shows them."""
    tokens = clocks.tokens(store)
    text = make(tokens).token
    secret = text.split("_", 2)[2]
    kept = str(store.query("SELECT * FROM tokens", {}))
    assert secret not in kept
    assert secret not in str([one.model_dump() for one in tokens.list()])
    assert len(secret) >= 43


def test_two_tokens_have_nothing_in_common(store: Store, clocks: Clocks) -> None:
    """Ids and secrets are drawn anew."""
    tokens = clocks.tokens(store)
    first, second = make(tokens), make(tokens)
    assert first.id != second.id
    assert first.token.split("_", 2)[2] != second.token.split("_", 2)[2]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: text + "x",
        lambda text: text.replace("otc_", "otx_"),
        lambda text: text.rsplit("_", 1)[0] if text.count("_") == 2 else "otc_",
        lambda text: "_".join([*text.split("_")[:2], ""]),
        lambda _text: "otc_0000000000000000_" + "A" * 43,
        lambda _text: "",
        lambda _text: "\x00'; --",
    ],
)
def test_anything_but_the_token_itself_is_refused(store: Store, clocks: Clocks, spoil) -> None:
    """A wrong secret, prefix, id or length gives no scope."""
    tokens = clocks.tokens(store)
    assert tokens.verify(spoil(make(tokens).token)) is None


def test_a_token_expires(store: Store, clocks: Clocks) -> None:
    """Valid to the last moment before its end, refused from it on."""
    tokens = clocks.tokens(store)
    text = make(tokens, expires_in=timedelta(days=1)).token
    clocks.now += timedelta(days=1, seconds=-1)
    assert tokens.verify(text) is not None
    clocks.now += timedelta(seconds=1)
    assert tokens.verify(text) is None


def test_revoking_works_at_once_and_for_good(store: Store, clocks: Clocks) -> None:
    """A revoked token is refused; revoking it again changes nothing."""
    tokens = clocks.tokens(store)
    made = make(tokens)
    assert tokens.verify(made.token) is not None
    first = tokens.revoke(made.id)
    clocks.now += timedelta(hours=1)
    assert tokens.verify(made.token) is None
    assert tokens.revoke(made.id).revoked_at == first.revoked_at


def test_revoking_elsewhere_shows_within_the_life_of_the_cache(
    store: Store, clocks: Clocks
) -> None:
    """Another process revokes: refused at the latest after a few seconds."""
    here, elsewhere = clocks.tokens(store), clocks.tokens(store)
    made = make(here)
    assert here.verify(made.token) is not None
    elsewhere.revoke(made.id)
    clocks.monotonic += CACHE_SECONDS
    assert here.verify(made.token) is None


def test_revoking_an_unknown_token_says_so(store: Store, clocks: Clocks) -> None:
    """There is nothing of that id."""
    with pytest.raises(AccessError, match="no token of this id") as raised:
        clocks.tokens(store).revoke("nothing")
    assert raised.value.status == 404


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scopes": []}, "got none"),
        ({"scopes": ["analytics:view", "everything"]}, "got everything"),
        ({"tenants": []}, "at least one tenant"),
        ({"tenants": [""]}, "at least one tenant"),
        ({"expires_in": timedelta(0)}, "longer than nothing"),
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(
    store: Store, clocks: Clocks, options: dict, message: str
) -> None:
    """Unknown scopes, no tenant, no life: each refused with its reason."""
    tokens = clocks.tokens(store)
    with pytest.raises(ConfigurationError, match=message):
        make(tokens, **options)
    assert tokens.list() == []


def test_without_any_token_this_machine_is_open(store: Store, clocks: Clocks) -> None:
    """Addressed by a loopback name, everything is allowed; by another name nothing is."""
    access = Access(clocks.tokens(store), loopback=True)
    assert access.authenticate(None, host="127.0.0.1") == OPEN
    assert access.authenticate(None, host="localhost") == OPEN
    for host in ("evil.example", None, "127.0.0.1.evil.example"):
        with pytest.raises(AccessError) as raised:
            access.authenticate(None, host=host)
        assert raised.value.status == 401


def test_the_first_token_closes_what_was_open(store: Store, clocks: Clocks) -> None:
    """Once a token was made, a request without one is refused, even after it is revoked."""
    tokens = clocks.tokens(store)
    access = Access(tokens, loopback=True)
    made = make(tokens)
    for _ in range(2):
        with pytest.raises(AccessError) as raised:
            access.authenticate(None, host="127.0.0.1")
        assert raised.value.status == 401
        tokens.revoke(made.id)


def test_a_wrong_token_is_refused_even_where_none_is_needed(store: Store, clocks: Clocks) -> None:
    """Whoever shows a token means it: a wrong one opens nothing."""
    access = Access(clocks.tokens(store), loopback=True)
    with pytest.raises(AccessError, match="unknown, expired or revoked"):
        access.authenticate("otc_a_b", host="127.0.0.1")


def test_other_addresses_are_never_open(store: Store, clocks: Clocks) -> None:
    """A server that others can reach asks for a token from the first request on."""
    access = Access(clocks.tokens(store), loopback=False)
    with pytest.raises(AccessError, match="A token is needed"):
        access.authenticate(None, host="127.0.0.1")


@pytest.mark.parametrize(
    ("tenants", "named", "expected"),
    [
        (None, None, "default"),
        (None, "acme", "acme"),
        ({"acme"}, None, "acme"),
        ({"acme"}, "acme", "acme"),
        ({"acme", "beta"}, "beta", "beta"),
    ],
)
def test_telemetry_goes_to_a_tenant_of_its_token(
    tenants: set[str] | None, named: str | None, expected: str
) -> None:
    """With one tenant that one; with several, the one that the telemetry names."""
    grant = IngestGrant(None if tenants is None else frozenset(tenants))
    assert grant.tenant_for(named) == expected


@pytest.mark.parametrize(
    ("tenants", "named"),
    [({"acme"}, "beta"), ({"acme", "beta"}, None), ({"acme", "beta"}, "other")],
)
def test_telemetry_for_another_tenant_is_refused(tenants: set[str], named: str | None) -> None:
    """A name outside the grant, or none where there are several."""
    with pytest.raises(AccessError) as raised:
        IngestGrant(frozenset(tenants)).tenant_for(named)
    assert raised.value.status == 403


def test_a_token_of_admin_comes_first_where_that_is_asked_for(store: Store, clocks: Clocks) -> None:
    """Else, or once the last one is revoked or over, nobody could make another."""
    tokens = clocks.tokens(store)
    with pytest.raises(ConfigurationError, match="Make one first that does"):
        make(tokens, manageable=True)
    assert tokens.list() == []
    first = make(tokens, scopes=["admin"], expires_in=timedelta(days=1), manageable=True)
    other = make(tokens, manageable=True)
    assert tokens.revoke(other.id, manageable=True).revoked_at
    with pytest.raises(ConfigurationError, match="the last token that holds admin"):
        tokens.revoke(first.id, manageable=True)
    second = make(tokens, scopes=["admin"], manageable=True)
    assert tokens.revoke(second.id, manageable=True).revoked_at
    clocks.now += timedelta(days=2)
    assert not tokens.managed()
    with pytest.raises(ConfigurationError, match="Make one first that does"):
        make(tokens, manageable=True)
    # One that is over may be revoked: nothing is lost by it.
    assert tokens.revoke(first.id, manageable=True).revoked_at


def test_nobody_is_locked_out_by_the_api_or_the_pages(client: TestClient) -> None:
    """The first token by either holds admin, or is refused in words; then others can be made."""
    body = {"name": "x", "scopes": ["ingest:write"], "tenants": ["*"]}
    own = {"sec-fetch-site": "same-origin"}
    refused = client.post("/api/v1/tokens", json=body)
    assert (refused.status_code, "with the scopes admin" in refused.text) == (422, True)
    shown = client.post("/settings/tokens", data=body | {"tenants": "*"}, headers=own)
    assert (shown.status_code, "with the scopes admin" in shown.text) == (422, True)
    # Nothing was made, so the page is still open, and its form proposes admin.
    settings = client.get("/settings")
    assert re.findall(r'name="scopes" value="([\w:]+)" checked', settings.text) == [
        "analytics:view",
        "admin",
    ]
    made = client.post("/settings/tokens", data=body | {"scopes": "admin"}, headers=own)
    [text] = re.findall(r"data-token>(otc_\w+_[\w-]+)<", made.text)
    signed = {"authorization": f"Bearer {text}"}
    assert client.post("/api/v1/tokens", json=body, headers=signed).status_code == 201
    last = client.delete(f"/api/v1/tokens/{text.split('_')[1]}", headers=signed)
    assert (last.status_code, "last token" in last.text) == (422, True)
    form = {"id": text.split("_")[1]}
    client.cookies.set(COOKIE, text)
    page = client.post("/settings/tokens/revoke", data=form, headers=own)
    assert (page.status_code, "last token" in page.text) == (422, True)


def test_whoever_must_sign_in_is_told_where_a_token_comes_from(client: TestClient) -> None:
    """The page names the command with `--store`, and not where the store is."""
    client.app.state.access.tokens.create("a", scopes=["admin"], tenants=["*"])  # type: ignore[attr-defined]
    answer = client.get("/")
    assert answer.status_code == 401
    told = html.unescape(answer.text)
    assert (
        "otel-chat token create admin --scope admin --scope analytics:view --tenant '*'"
        " --store STORE"
    ) in told
    assert "chdb:" not in told
