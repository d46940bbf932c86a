"""The API's description, drawn in a real browser under the policy of every page."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from otel_chat.server.middleware import CONTENT_SECURITY_POLICY
from tests.server.pages.conftest import Reader, Readers

pytestmark = pytest.mark.browser

LIGHT = "rgb(210, 214, 215)"


def test_the_api_is_described_from_files_that_ship_with_the_server(reader: Reader) -> None:
    """Every path is listed, one opens with its parameters and example, and a question is asked.

    The reader's faults hold violated policies and requests to other hosts: there are none.
    """
    with reader.page.expect_response("**/docs") as answer:
        page = reader.read("/docs")
    assert answer.value.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    described = page.request.get(f"{reader.site.address}/api/v1/openapi.json").json()["paths"]
    operations = page.locator(".opblock")
    expect(operations).to_have_count(sum(len(methods) for methods in described.values()))
    overview = page.locator(".opblock", has=page.get_by_text("/api/v1/overview", exact=True))
    overview.locator(".opblock-summary-control").first.click()
    expect(overview.locator(".parameters")).to_contain_text("confidence_min")
    expect(overview.locator(".responses-wrapper")).to_contain_text("response_time")
    overview.get_by_role("button", name="Try it out").click()
    with page.expect_response("**/api/v1/overview*") as asked:
        overview.get_by_role("button", name="Execute").click()
    assert asked.value.status == 200


def test_every_page_leads_to_the_description(reader: Reader) -> None:
    """From the foot of the navigation."""
    page = reader.read("/settings")
    page.get_by_role("link", name="API", exact=True).click()
    page.wait_for_url("**/docs")
    expect(page.locator(".swagger-ui .info .title")).to_contain_text("otel-chat")


def test_the_description_has_the_theme_of_the_page(readers: Readers) -> None:
    """The system's, and the one that is chosen: a title tells from what it stands on."""
    page = readers(color_scheme="dark").read("/docs")
    title = page.locator(".swagger-ui .info .title")
    expect(title).to_have_css("color", LIGHT)
    switch = page.locator("[data-theme-switch]")
    switch.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(title).not_to_have_css("color", LIGHT)
    switch.click()
    expect(title).to_have_css("color", LIGHT)


def test_without_scripts_the_description_is_linked(readers: Readers) -> None:
    """A sentence and the way to the document itself."""
    page = readers(java_script_enabled=False).read("/docs")
    expect(page.locator("#api-description a")).to_have_attribute("href", "/api/v1/openapi.json")
