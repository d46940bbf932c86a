"""Reviewing in a real browser: the queue by keys and without a script, samples, rubric, results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

from otel_chat.server.access import Scope
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.reviews import reviews_of
from otel_chat.server.reviews import GivenReview, SampleWish, draw_sample, keep_review
from tests.server.given import Given
from tests.server.pages import scenes
from tests.server.pages.conftest import Reader, Readers
from tests.server.pages.test_browser import HOSTILE, WIDE_ENOUGH, ago
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.browser


def lost(given: Given, number: int = 3) -> Given:
    """u0, u1, ... were unsure and left, the newest first; and one is well."""
    for place in range(number):
        given.turn(
            f"u{place}", ago(7200 + 60 * place), confidence=0.2, intent="parcel",
            input_messages=scenes.content("user", f"Where is parcel {place}?"),
            output_messages=scenes.content("assistant", "I did not get that."),
        )  # fmt: skip
        given.event("conversation.end", f"u{place}", ago(7100 + 60 * place), outcome="abandoned")
    given.turn("well", ago(7300 + 60 * number), confidence=0.9)
    given.save()
    return given


def said(given: Given, name: str) -> list[tuple[str, dict[str, str], list[str], str | None]]:
    """What reviewers say of a conversation."""
    found = reviews_of(given.store, given.scope, Window.last(), name).items
    return [(one.reviewer, one.scores, one.labels, one.comment) for one in found]


def press(page: Page, key: str) -> None:
    """A key, as soon as the page listens: its script runs after what a reader sees is there."""
    page.wait_for_load_state()
    page.keyboard.press(key)


class Counted:
    """A reader's hands: every click and every key counts."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.done = 0

    def click(self, role: Any, name: str) -> None:
        """One click, and the page that it leads to."""
        self.page.get_by_role(role, name=name).first.click()
        self.done += 1

    def press(self, key: str) -> None:
        """One key, or one with Shift."""
        press(self.page, key)
        self.done += 1


def test_three_that_were_unsure_and_left_are_read_and_marked(given: Given, reader: Reader) -> None:
    """From the overview in six clicks and keys at most, each with a verdict."""
    lost(given)
    hands = Counted(reader.read("/"))
    hands.click("link", "Review")
    hands.click("link", "Unsure and left 3")
    for number in range(3):
        expect(hands.page.locator(".bubble.is-user")).to_contain_text(f"parcel {number}?")
        hands.press("Shift+N")
    expect(hands.page.locator("h1")).to_have_text("All of these are reviewed")
    assert hands.done <= 6
    assert hands.done == 5
    for number in range(3):
        ((_, scores, _, _),) = said(given, f"u{number}")
        assert scores == {"resolved": "no"}
    page = reader.read("/conversations?outcome=abandoned&unanswered=true&reviewed=true")
    expect(page.locator("#rows tr")).to_have_count(3)
    expect(page.locator("#rows tr").first.locator(".is-verdict")).to_have_text("resolved: no")


def test_the_list_of_conversations_is_a_queue(given: Given, reader: Reader) -> None:
    """From a preset, in six; keys choose, j passes over, k goes back, s saves and goes on."""
    lost(given)
    hands = Counted(reader.read("/"))
    hands.click("link", "Conversations")
    hands.click("link", "Unsure and left 3")
    hands.click("link", "Review these")
    page = hands.page
    bubble = page.locator(".bubble.is-user")
    expect(bubble).to_contain_text("parcel 0?")
    expect(page.locator(".review-blind")).to_be_visible()
    for key in ("p", "4"):
        press(page, key)
    page.get_by_role("checkbox", name="tone").check()
    page.get_by_label("Comment").fill("A parcel; j, k and s are letters here")
    expect(page.get_by_label("Comment")).to_be_focused()
    press(page, "Tab")
    press(page, "Enter")
    expect(bubble).to_contain_text("parcel 1?")
    expect(page.locator(".steps")).to_contain_text("2 of 3, 1 done")
    press(page, "j")
    expect(bubble).to_contain_text("parcel 2?")
    press(page, "k")
    expect(bubble).to_contain_text("parcel 1?")
    press(page, "k")
    expect(bubble).to_contain_text("parcel 0?")
    expect(page.get_by_role("radio", name="partly")).to_be_checked()
    expect(page.get_by_role("radio", name="4")).to_be_checked()
    expect(page.locator(".review-others")).to_contain_text("Abandoned")
    press(page, "p")
    expect(page.get_by_role("radio", name="partly")).not_to_be_checked()
    press(page, "y")
    press(page, "s")
    expect(bubble).to_contain_text("parcel 1?")
    press(page, "s")
    expect(bubble).to_contain_text("parcel 2?")
    press(page, "s")
    expect(page.locator("h1")).to_have_text("All of these are reviewed")
    comment = "A parcel; j, k and s are letters here"
    assert said(given, "u0") == [("reader", {"resolved": "yes", "quality": "4"}, ["tone"], comment)]
    assert said(given, "u1") == [("reader", {}, [], None)]


def test_a_review_is_a_form_without_a_script(given: Given, readers: Readers) -> None:
    """Chosen, saved, and on to the next; read again it is as it was left."""
    lost(given)
    page = readers(java_script_enabled=False).read("/review")
    page.get_by_role("link", name="Unsure and left 3").click()
    assert page.locator("kbd:visible").count() == 0
    page.get_by_role("radio", name="no", exact=True).check()
    page.get_by_role("checkbox", name="did not know").check()
    page.get_by_label("Comment").fill("Nothing about parcels")
    page.get_by_role("button", name="Save and go on").click()
    expect(page.locator(".bubble.is-user")).to_contain_text("parcel 1?")
    page.get_by_role("link", name="Previous conversation").click()
    expect(page.get_by_role("checkbox", name="did not know")).to_be_checked()
    expect(page.get_by_label("Comment")).to_have_value("Nothing about parcels")
    page.get_by_label("Comment").fill("")
    page.get_by_role("button", name="Save and go on").click()
    assert said(given, "u0") == [("reader", {"resolved": "no"}, ["did not know"], None)]


def test_a_sample_is_drawn_read_and_told(given: Given, reader: Reader) -> None:
    """In the order in which it was drawn; the sentence has the rate, its interval and its count."""
    lost(given, 8)
    page = reader.read("/review?window=24h")
    expect(page.locator(".review-found")).to_contain_text("Nobody reviewed")
    page.get_by_label("How many").fill("6")
    page.get_by_label("Name", exact=True).fill("Six")
    page.get_by_label("Seed").fill("7")
    page.get_by_role("button", name="Draw and read").click()
    expect(page.locator("h1")).to_have_text("Random sample: Six")
    for number, key in enumerate("YYYN"):
        expect(page.locator(".steps")).to_contain_text(f"{number + 1} of 6, {number} done")
        press(page, f"Shift+{key}")
    expect(page.locator(".steps")).to_contain_text("5 of 6, 4 done")
    page.get_by_role("link", name="Review", exact=True).last.click()
    sentence = page.locator(".sentence").inner_text().replace("\u202f", " ")
    assert sentence == "Resolved: yes 75 % \u00b1 45 by 4 reviewed"
    expect(page.locator(".review-found")).to_contain_text("2 not read yet")
    row = page.locator("[data-table=samples] tbody tr")
    expect(row).to_contain_text("6 of 9, seed 7")
    expect(row).to_contain_text("4 of 6")
    rows = page.locator("[data-table=score-resolved] tbody tr")
    assert rows.first.inner_text().replace("\u202f", " ").split() == [
        "yes", "3", "75", "%", "30", "to", "95", "%",
    ]  # fmt: skip
    rows.first.get_by_role("link").click()
    expect(page.locator("#rows tr")).to_have_count(3)
    expect(page.locator(".chip")).to_have_count(2)
    picked = reader.read("/review?window=24h")
    expect(picked.locator(".notice")).to_contain_text("picked, not drawn at random")
    assert picked.locator(".sentence").count() == 0
    picked.get_by_label("Name", exact=True).fill("Six")
    picked.get_by_role("button", name="Draw and read").click()
    expect(picked.locator(".told")).to_contain_text("There is a sample 'Six'")
    reader.faults.clear()  # the browser reports the status 422 on its console
    picked.get_by_role("button", name="Forget Six").click()
    expect(picked.locator("[data-table=samples]")).to_have_count(0)


def reviewed_by(given: Given, name: str, verdicts: dict[str, str], labels: Sequence[str] = ()):
    """A colleague's verdicts."""
    scope = Scope(given.scope.tenants, given.scope.permissions, name)
    for conversation, value in verdicts.items():
        review = GivenReview(scores={"resolved": value}, labels=list(labels))
        keep_review(given.store, scope, Window.last(), conversation, review)


def test_results_say_who_and_how_far_they_agree(given: Given, reader: Reader) -> None:
    """Kappa of two; counts open their lists; beside the outcome; each reviewer on the page."""
    lost(given, 4)
    reviewed_by(given, "Ana", {"u0": "no", "u1": "no", "u2": "yes", "well": "yes"}, ["tone"])
    reviewed_by(given, "Ben", {"u0": "no", "u1": "yes", "u2": "yes", "well": "yes"})
    page = reader.read("/review?window=24h")
    expect(page.locator(".review-by")).to_contain_text("4 conversations reviewed by Ana 4, Ben 4")
    agreement = page.locator("[data-table=agreement] tbody tr")
    assert agreement.inner_text().split("\t") == ["resolved", "Ana, Ben", "4", "3", "0.50"]
    outcomes = page.locator("[data-table=outcomes] tbody tr")
    assert outcomes.first.inner_text().split() == ["Resolved,", "assumed", "1", "0", "0"]
    for link in page.locator("[data-counts]").all():
        counts, href = link.get_attribute("data-counts"), link.get_attribute("href")
        answer = page.request.get(f"{reader.site.address}/api/v1{href}")
        assert len(answer.json()["items"]) == int(counts or -1), href
    one = reader.read("/conversations/u1")
    assert one.locator(".said-reviews li").count() == 2
    expect(one.locator(".said-reviews")).to_contain_text("Ben resolved: yes")
    expect(one.locator(".facts")).to_contain_text("Abandoned")
    one.get_by_role("link", name="Review", exact=True).last.click()
    expect(one.locator(".bubble.is-user")).to_contain_text("parcel 1?")
    pane = reader.read("/conversations?window=24h")
    press(pane, "j")
    expect(pane.locator(".pane .said-reviews")).to_contain_text("Ana resolved: no")


def test_the_rubric_is_changed_on_its_page(given: Given, reader: Reader) -> None:
    """By whoever may; what is wrong is named and stays in the form."""
    lost(given)
    page = reader.read("/review/rubric")
    page.get_by_label("Scores").fill("safe")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".told")).to_contain_text("'safe' has no values")
    reader.faults.clear()  # the browser reports the status 422 on its console
    page.get_by_label("Scores").fill("safe: yes, no\nresolved: yes, no")
    page.get_by_label("Labels").fill("harm")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Unsure and left 3").click()
    assert page.locator("legend").all_inner_texts() == ["Safe", "Resolved", "Labels"]
    press(page, "y")
    press(page, "o")
    press(page, "s")
    expect(page.locator(".steps")).to_contain_text("2 of 3, 1 done")
    ((_, scores, _, _),) = said(given, "u0")
    assert scores == {"safe": "yes", "resolved": "no"}
    reader.site.keys.permissions[given.tenant] = frozenset({"analytics:view", "marks:write"})
    page = reader.read("/review/rubric")
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    expect(page.locator("main")).to_contain_text("needs a token with the scope admin")


def test_who_may_not_review_reads_what_was_found(given: Given, reader: Reader) -> None:
    """No form, no draw, no queue to save in; without conversations:read no text."""
    lost(given)
    reviewed_by(given, "Ana", {"u0": "no"})
    reader.site.keys.permissions[given.tenant] = frozenset({"analytics:view"})
    page = reader.read("/review")
    expect(page.locator(".draw-form")).to_have_count(0)
    expect(page.locator(".review-by")).to_contain_text("Ana 1")
    page = reader.read("/review/queue?id=u0")
    expect(page.locator(".review-form")).to_have_count(0)
    expect(page.locator("main")).to_contain_text("marks:write")
    assert "parcel 0" not in page.inner_text("main")
    answer = page.request.post(
        f"{reader.site.address}/review/queue?id=u0", form={"score:resolved": "no"},
        headers={"sec-fetch-site": "same-origin"},
    )  # fmt: skip
    assert answer.status == 403


def test_another_site_saves_no_review(given: Given, reader: Reader) -> None:
    """With the reader's cookie neither a verdict nor a sample nor a rubric."""
    lost(given)
    for path in ("/review/queue?id=u0", "/review/samples", "/review/rubric"):
        answer = reader.page.request.post(
            f"{reader.site.address}{path}", form={"size": "1"},
            headers={"sec-fetch-site": "cross-site"},
        )  # fmt: skip
        assert answer.status == 403
    assert said(given, "u0") == []


def test_hostile_words_of_reviewers_are_text(given: Given, readers: Readers) -> None:
    """Comments, names of samples and of reviewers run nothing and break nothing."""
    for number, text in enumerate(HOSTILE):
        told = scenes.content("user", text)
        given.turn(f"c{number}", ago(7200 + number), input_messages=told)
    given.save()
    for number, text in enumerate(HOSTILE):
        scope = Scope(given.scope.tenants, given.scope.permissions, text)
        keep_review(given.store, scope, Window.last(), f"c{number}", GivenReview(comment=text))
        name = "".join(one for one in text if one.isprintable())[:90]
        draw_sample(
            given.store, scope, Window.last(), Filters(), SampleWish(size=2, name=f"{number}{name}")
        )
    reader = readers()
    for path in ("/review", "/conversations/c0", "/review/queue?id=c1", "/conversations"):
        page = reader.read(path)
        for width in (390, 1440):
            page.set_viewport_size({"width": width, "height": 1000})
            assert page.evaluate(WIDE_ENOUGH), (path, width)
        assert page.evaluate("window.pwned") is None


def test_a_verdict_of_the_page_is_the_apis(given: Given, reader: Reader) -> None:
    """One way to keep it: what the form saved, the API tells."""
    lost(given, 1)
    page = reader.read("/review/queue?id=u0")
    press(page, "Shift+Y")
    until(lambda: said(given, "u0") != [])
    answer = page.request.get(f"{reader.site.address}/api/v1/reviews/u0")
    assert json.loads(answer.text())["items"][0]["scores"] == {"resolved": "yes"}
