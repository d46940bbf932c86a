"""Live, exports and reports, settings, in a real browser: what they show, change and refuse."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from otel_chat.server.api.security import COOKIE
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.packs import PACKS
from otel_chat.server.reviews import GivenReview, keep_review
from tests import web
from tests.server.given import Given
from tests.server.pages import scenes
from tests.server.pages.conftest import Reader, Readers, Site
from tests.server.pages.test_browser import HOSTILE, WIDE_ENOUGH, ago, figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_chat.server.store import Store

pytestmark = pytest.mark.browser

VIEWER = frozenset({"analytics:view"})


@pytest.fixture
def no_tokens(store: Store) -> Iterator[None]:
    store.command("TRUNCATE TABLE tokens")
    yield
    store.command("TRUNCATE TABLE tokens")


def status(page: Page) -> None:
    """Waits until the stream has told something."""
    expect(page.locator("[data-live-status]")).to_contain_text("every 5 s")


def test_live_figures_come_by_themselves(given: Given, reader: Reader) -> None:
    """A turn that is stored while the page is open is counted without a reload."""
    given.turn("first", ago(90), 2.0, agent="support", channel="web")
    given.save()
    page = reader.read("/live")
    note = page.locator("section[aria-labelledby=card-avg_satisfaction] .card-note")
    expect(note).to_have_text("in the last hour")
    status(page)
    assert figure(page, "turns") == "1"
    assert figure(page, "active_conversations") == "1"
    assert figure(page, "avg_response_time_ms") == "2.0 s"
    assert figure(page, "avg_satisfaction") == "no data"
    expect(page.locator("[data-table=talking] tbody tr")).to_have_count(1)
    given.rows.clear()
    given.turn("second", ago(2), 1.0, status="error")
    given.feedback(4, "second", ago(1))
    given.feedback(5, "second", ago(1))
    given.feedback(1, "second", ago(1), scale=(0, 1))
    given.save()
    turns = page.locator("section[aria-labelledby=card-turns] .figure")
    expect(turns).to_have_text("2")
    expect(page.locator("section[aria-labelledby=card-errors] .figure")).to_have_text("1")
    scales = "4.5 on 1 to 5, 1.0 on 0 to 1, in the last hour"
    expect(note).to_have_text(scales)
    page.reload()
    expect(note).to_have_text(scales)
    expect(page.locator("[data-table=talking] tbody tr")).to_have_count(2)
    page.locator("[data-table=talking] a", has_text="second").click()
    page.wait_for_url("**/conversations/second")


def test_live_says_first_who_waits_for_a_human(given: Given, reader: Reader) -> None:
    """The last message, how long, why; it opens the conversation. Nobody waiting is one line."""
    page = reader.read("/live")
    waiting = page.locator("section[aria-labelledby=table-waiting]")
    expect(waiting).to_contain_text("Nobody waits for a human.")
    assert page.locator("#live-panels h2").first.inner_text() == "Waiting for a human"
    given.turn("w", ago(610), handoff=True, handoff_reason="user_request",
               input_messages=scenes.content("user", "A human, please!"))  # fmt: skip
    given.save()
    row = reader.read("/live").locator("[data-table=waiting] tbody tr")
    expect(row.locator("th")).to_have_text("A human, please!")
    expect(row.locator(".is-bad")).to_contain_text("10\u202fmin")
    expect(row).to_contain_text("user request")
    row.locator("th a").click()
    page.wait_for_url("**/conversations/w")


def test_live_can_be_paused_and_resumed(given: Given, reader: Reader) -> None:
    """Paused, nothing is asked and the status says from when the figures are."""
    page = reader.read("/live")
    status(page)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("[data-live-status]")).to_contain_text("Paused: figures of")
    given.turn("meanwhile", ago(5))
    given.save()
    page.get_by_role("button", name="Resume").click()
    status(page)
    turns = page.locator("section[aria-labelledby=card-turns] .figure")
    expect(turns).to_have_text("1")


def test_live_filters_the_stream_too(given: Given, reader: Reader) -> None:
    """What the address is limited to holds for the figures that come."""
    given.turn("a", ago(30), agent="one")
    given.turn("b", ago(30), agent="two")
    given.save()
    page = reader.read("/live?agent=one")
    status(page)
    assert figure(page, "turns") == "1"
    assert page.locator("[data-live]").get_attribute("data-live") == (
        "/api/v1/realtime/stream?agent=one"
    )


def test_live_says_when_the_store_is_away(given: Given, reader: Reader) -> None:
    """The server's own words, and the figures stay."""
    given.turn("first", ago(60))
    given.save()
    page = reader.read("/live")
    status(page)
    reader.site.store.away = True
    try:
        expect(page.locator(".live-state.is-stale")).to_be_visible()
        expect(page.locator("[data-live-status]")).to_contain_text("store does not answer")
        assert figure(page, "turns") == "1"
    finally:
        reader.site.store.away = False
    reader.faults.clear()


def test_live_without_a_script_shows_figures(given: Given, readers: Readers) -> None:
    """As of when the page was asked for."""
    given.turn("first", ago(60))
    given.save()
    page = readers(java_script_enabled=False).read("/live")
    assert figure(page, "turns") == "1"
    expect(page.locator("[data-live-status]")).to_contain_text("reload for newer figures")


def test_every_export_is_a_link_that_works(given: Given, reader: Reader) -> None:
    """Seven kinds in three formats, each with the filters of the page; the answer is as told."""
    given.turn("mine", ago(600), agent="support")
    given.event("topic", "mine", ago(599), agent="support", topic="parcels")
    given.turn("other", ago(600), agent="sales")
    given.save()
    said = GivenReview(scores={"resolved": "yes", "quality": "4"})
    keep_review(given.store, given.scope, Window.last(), "mine", said)
    page = reader.read("/exports?window=24h&agent=support")
    links = page.locator(".takeaway a[download]")
    expect(links).to_have_count(21)
    # A spreadsheet opens CSV by a double click: it needs the byte order mark.
    begins = {"csv": b"\xef\xbb\xbf", "jsonl": b"{", "parquet": b"PAR1"}
    for number in range(links.count()):
        address = links.nth(number).get_attribute("href") or ""
        answer = page.request.get(f"{reader.site.address}{address}")
        assert answer.status == 200, address
        wanted = (
            b"PK" if "/all?" in address else begins[parse_qs(urlsplit(address).query)["format"][0]]
        )
        assert answer.body().startswith(wanted), address
        assert "agent=support" in address
    csv_address = links.first.get_attribute("href") or ""
    rows = list(
        csv.DictReader(
            io.StringIO(
                page.request.get(reader.site.address + csv_address).body().decode("utf-8-sig")
            )
        )
    )
    assert [row["conversation_id"] for row in rows] == ["mine"]


def test_an_export_can_be_narrowed_further(given: Given, reader: Reader) -> None:
    """The sender of messages is chosen beside them and stays in the address of the page."""
    page = reader.read("/exports?window=30d")
    page.get_by_label("Messages of").select_option("user")
    page.wait_for_url("**/exports?window=30d&sender=user")
    link = page.get_by_role("link", name="CSV of Messages")
    assert link.get_attribute("href") == (
        "/api/v1/exports/messages?window=30d&sender=user&format=csv&bom=true"
    )
    other = page.get_by_role("link", name="CSV of Turns").get_attribute("href") or ""
    assert "sender" not in other


def test_reports_open_in_every_form(given: Given, reader: Reader) -> None:
    """As HTML, Markdown, text and JSON, in the time zone that is chosen."""
    given.turn("one", ago(600))
    given.save()
    page = reader.read("/exports")
    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    page.wait_for_url("**/exports?timezone=Asia%2FTokyo")
    kinds = {}
    for label in ("HTML", "Markdown", "Text", "JSON"):
        link = page.get_by_role("link", name=f"the report as {label}")
        address = link.get_attribute("href") or ""
        assert "timezone=Asia%2FTokyo" in address
        answer = page.request.get(f"{reader.site.address}{address}")
        assert answer.status == 200
        kinds[label] = answer.headers["content-type"].split(";")[0]
    assert kinds == {
        "HTML": "text/html", "Markdown": "text/markdown", "Text": "text/plain",
        "JSON": "application/json",
    }  # fmt: skip


def test_who_may_not_export_is_told_so(given: Given, reader: Reader) -> None:
    """No links to what would be refused; the reports are there."""
    reader.site.keys.permissions[given.tenant] = VIEWER
    page = reader.read("/exports")
    expect(page.locator(".notice")).to_contain_text("need a token with the scope export:create")
    assert page.locator("a[download]").count() == 0
    expect(page.get_by_role("link", name="the report as HTML")).to_be_visible()


@pytest.mark.usefixtures("no_tokens")
def test_a_token_is_made_shown_once_and_revoked(given: Given, reader: Reader, site: Site) -> None:
    """Its text stands on the page once; it opens what it says until it is revoked."""
    page = reader.read("/settings")
    page.get_by_label("Name").fill("<b>dashboard</b>")
    page.get_by_label("export:create").check()
    expect(page.get_by_label("admin")).to_be_checked()  # else nobody could make another
    page.get_by_label("It holds").select_option("30")
    page.get_by_role("button", name="Make the token").click()
    text = page.locator("[data-token]").inner_text()
    found = site.keys.tokens.verify(text)
    assert found is not None
    assert found.tenants == frozenset({given.tenant})
    assert found.permissions == frozenset({"analytics:view", "export:create", "admin"})
    expect(page.locator(".told")).to_contain_text("from now on every page")
    row = page.locator("[data-table=tokens] tbody tr")
    expect(row).to_contain_text("<b>dashboard</b>")
    expect(row).to_contain_text("until")
    page = reader.read("/settings")
    assert text not in page.content()
    site.keys.tokens.create("other", scopes=["admin"], tenants=[given.tenant])
    page.get_by_role("button", name="Revoke <b>dashboard</b>").click()
    expect(page.locator(".told")).to_contain_text("is revoked")
    expect(page.locator("[data-table=tokens] .is-over")).to_contain_text("revoked")
    assert page.locator("[data-table=tokens] .is-over button").count() == 0
    assert site.keys.tokens.verify(text) is None


@pytest.mark.usefixtures("no_tokens")
def test_a_token_reaches_no_tenant_but_ones_own(given: Given, reader: Reader, site: Site) -> None:
    """Asked for another's tenant, nothing is made, and the page says why."""
    page = reader.read("/settings")
    page.get_by_label("Name").fill("greedy")
    page.get_by_label("Tenants").fill(f"{given.tenant}, another")
    page.get_by_role("button", name="Make the token").click()
    expect(page.locator(".told.is-bad")).to_contain_text("no tenant that its maker does not")
    assert site.keys.tokens.list() == []
    reader.faults.clear()


def test_a_conversation_is_erased_from_the_page(given: Given, reader: Reader) -> None:
    """With one's word that one is sure; a second time there is nothing of it."""
    given.turn("forget me", ago(600))
    given.turn("keep me", ago(600))
    given.save()
    page = reader.read("/settings")
    page.get_by_text("Erase something").click()
    page.get_by_label("Which").fill("forget me")
    page.get_by_label("I am sure").check()
    page.get_by_role("button", name="Erase", exact=True).click()
    expect(page.locator(".told")).to_contain_text("Erased for good: 1 turn")
    page = reader.read("/conversations")
    expect(page.locator("#rows tr")).to_have_count(1)
    expect(page.locator("#rows tr")).to_contain_text("keep me")


@pytest.mark.parametrize("path", ["tokens", "tokens/revoke", "erasures"])
def test_another_site_changes_nothing(given: Given, site: Site, path: str) -> None:
    """A form that stands elsewhere, or does not say where, is refused; so is a mere viewer."""
    address, form = f"/settings/{path}", {"name": "x", "scopes": "admin", "tenants": given.tenant}
    with web.Client(base_url=site.address, cookies={COOKIE: given.tenant}) as client:
        for headers in (
            {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {},
        ):
            answer = client.post(address, data=form, headers=headers)
            assert answer.status_code == 403, headers
            assert "Another site may not change this" in answer.text
        site.keys.permissions[given.tenant] = VIEWER
        answer = client.post(address, data=form, headers={"Sec-Fetch-Site": "same-origin"})
        assert answer.status_code == 403
        assert "needs a token with the scope admin" in answer.text


def test_who_may_not_change_settings_sees_the_definitions(given: Given, reader: Reader) -> None:
    """No form but that to sign out; what the figures mean is there for everybody."""
    reader.site.keys.permissions[given.tenant] = VIEWER
    page = reader.read("/settings")
    expect(page.locator(".notice")).to_contain_text("need a token with the scope admin")
    assert page.locator("main form").count() == 0
    name = page.get_by_role("cell", name="containment_ratio", exact=True)
    row = page.locator("[data-table=definitions] tr").filter(has=name)
    expect(row).to_contain_text("Settled conversations without a handoff")


def test_settings_list_the_definition_packs(given: Given, reader: Reader) -> None:
    """Each product's figures with their rules, and a link that answers with the same ones."""
    given.turn("asked", ago(600), intent="order")
    given.save()
    page = reader.read("/settings")
    for pack in PACKS.values():
        link = page.get_by_role("link", name=pack.product, exact=True)
        rows = page.locator("[data-table=packs] tbody tr").filter(has=link)
        answer = page.request.get(f"{reader.site.address}{link.first.get_attribute('href')}")
        told = answer.json()["figures"]
        expect(rows).to_have_count(len(told))
        for row, one in zip(rows.all(), told, strict=True):
            expect(row).to_contain_text(one["name"])
            expect(row).to_contain_text(one["rule"])
            expect(row).to_contain_text(one["ours"]["name"] if one["ours"] else "none")


@pytest.mark.usefixtures("no_tokens")
def test_hostile_text_is_shown_and_nothing_more(given: Given, readers: Readers, site: Site) -> None:
    """Names of tokens, agents, channels and intents, on all three pages, on a phone."""
    for text in HOSTILE:
        plain = text.replace("\u0000", "")
        given.turn(plain, ago(60), agent=plain, channel=plain, intent=plain)
        site.keys.tokens.create(plain[:200], scopes=["admin"], tenants=[given.tenant])
    given.save()
    reader = readers(390, 844)
    for path in ("/live", "/exports", "/settings"):
        page = reader.read(path)
        assert page.evaluate("window.pwned") is None
        assert page.evaluate(WIDE_ENOUGH), path
