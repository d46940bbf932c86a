"""The page of reports in a real browser: sent in four clicks, edited with a preview, refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from otel_chat.server.settings import ServerSettings
from tests.server.given import Given
from tests.server.pages.conftest import Reader, Site
from tests.server.pages.test_browser import ago
from tests.server.report.receivers import mail_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.report.receivers import Mailbox

pytestmark = pytest.mark.browser


@pytest.fixture
def box(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """A mail server that the site sends by."""
    with mail_server() as found:
        known = ServerSettings(
            smtp_host="127.0.0.1",
            smtp_port=found.port,
            smtp_tls="none",
            smtp_from="reports@chat.example",
        )
        monkeypatch.setattr(site.app.state.sender, "settings", known)
        yield found


def test_last_week_is_sent_to_the_boss_and_every_monday_in_four_clicks(
    given: Given, reader: Reader, box: Mailbox
) -> None:
    """From the overview: the page, the address, Mondays, Send now."""
    given.turn("c", ago(8 * 24 * 3600))
    given.save()
    page = reader.read("/")
    page.get_by_role("link", name="Reports", exact=True).click()
    page.get_by_role("textbox", name="To").click()
    page.keyboard.type("boss@example.com")
    page.get_by_label("Every Monday at nine, too").click()
    page.get_by_role("button", name="Send now", exact=True).click()
    expect(page.locator(".told")).to_contain_text("email boss@example.com: sent")
    [message] = box.messages
    assert str(message["Subject"]).startswith("Last week: ")
    row = page.locator("[data-table=reports] tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("09:00")
    expect(row).to_contain_text("sent")


def test_a_server_without_smtp_says_what_to_set(reader: Reader) -> None:
    """Before anything is sent, and in the run that was tried."""
    page = reader.read("/reports")
    words = "OTEL_CHAT_SERVER_SMTP_HOST and OTEL_CHAT_SERVER_SMTP_FROM"
    expect(page.locator("form.settings-form").locator("xpath=..")).to_contain_text(words)
    page.get_by_role("textbox", name="To").fill("a@example.com")
    page.get_by_role("button", name="Send now", exact=True).click()
    expect(page.locator(".told")).to_contain_text(f"failed, Set {words}")
    assert ["422" in fault for fault in reader.faults] == [True]
    reader.faults.clear()


def test_a_report_is_edited_with_a_preview_and_forgotten(given: Given, reader: Reader) -> None:
    """What is wrong is told beside the text, which stays; what is right is shown, then kept."""
    given.turn("c", ago(60))
    given.save()
    page = reader.read("/reports/new")
    text = page.locator("textarea")
    text.fill("name: Mine\nperiod: 7d\nsections: [headlin]\n")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".told")).to_contain_text("sections.0")
    assert ["422" in fault for fault in reader.faults] == [True]
    reader.faults.clear()
    text.fill("name: Mine\nperiod: 7d\nsections: [headline, {kind: text, markdown: '*Hello*'}]\n")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".paper em")).to_have_text("Hello")
    page.get_by_role("button", name="Save").click()
    row = page.locator("[data-table=reports] tbody tr")
    expect(row).to_contain_text("never sent")
    row.get_by_role("link", name="Mine", exact=True).click()
    kept = "name: Mine\nperiod: 7d\nsections:\n- kind: headline\n- kind: text\n"
    expect(text).to_have_value(f"{kept}  markdown: '*Hello*'\n")
    page.go_back()
    row.get_by_role("button", name="Forget").click()
    expect(row).to_have_count(0)


def test_who_may_not_take_data_out_changes_nothing(
    reader: Reader, given: Given, site: Site
) -> None:
    """The page says which scope it takes, and has no form."""
    site.keys.permissions[given.tenant] = frozenset({"analytics:view"})
    page = reader.read("/reports")
    expect(page.get_by_text("needs a token with the scope export:create")).to_be_visible()
    expect(page.locator("main form")).to_have_count(0)
