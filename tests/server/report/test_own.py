"""A report of one's own of a planted bad week, read in each of its forms as its receiver would."""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pypdf import PdfReader

from otel_chat._common import extras
from otel_chat.errors import ConfigurationError, MissingExtraError
from otel_chat.server.report.making import Made
from tests.requirements import pango
from tests.server.given import Given
from tests.server.report.week import ASKED, COMMENT, MONDAY, bad_week, made_of, report_of

if TYPE_CHECKING:
    from pathlib import Path

    from otel_chat.server.store import Store

SENTENCE = (
    "Resolution fell 26.2 points to 74\u202f% since Wed 11 Nov: intent refund accounts for 24.6 of"
    " it; tool track_return failed (timeout) in 15 conversations."
)
FIGURES = {
    "kind": "figures",
    "of": [{"name": "containment_ratio", "target": 0.9}, {"name": "error_ratio", "target": 0.1}],
}


@pytest.fixture(scope="module")
def planted(store: Store) -> Given:
    return bad_week(Given(store))


@pytest.fixture(scope="module")
def made(planted: Given) -> Made:
    return made_of(planted, report_of(planted, title="Support", timezone="Europe/Berlin"))


def text(made: Made, form: Any = "text") -> str:
    return made.written(form).decode()


def test_one_sentence_stands_first_in_every_form(made: Made) -> None:
    """What fell, by how much, to what, which intent and which tool; then the period's own days."""
    assert made.sentence == SENTENCE
    lines = text(made).splitlines()
    period = (
        "Mon 16 Nov 2026 to Sun 22 Nov 2026 (Europe/Berlin), compared with Mon 9 Nov 2026 to Sun 15"
        " Nov 2026; 61 conversations, 60 before"
    )
    assert lines[:4] == ["Support", period, "", SENTENCE.replace("\u202f", " ")]
    assert f'<p class="sentence">{SENTENCE}</p>' in text(made, "html")
    assert json.loads(text(made, "json"))["sentence"] == SENTENCE


def test_what_got_worse_has_its_cause_and_a_link(made: Made) -> None:
    """Each once, with a way to the conversations."""
    page = text(made, "html")
    assert [one.figure for one in made.brief.worse] == [
        "resolution_ratio_high",
        "containment_ratio",
    ]
    for one in made.brief.worse:
        assert "intent refund accounts for" in made.phrase(one)
        assert f"{made.phrase(one)}." in page
    assert "https://chat.example/conversations?from=2026-11-15T23%3A00" in page
    assert "intent=refund" in page
    assert "Nothing got better beyond chance." in page


def test_targets_are_met_or_missed(planted: Given) -> None:
    """By the way that is good of each figure; without one nothing is said."""
    made = made_of(planted, report_of(planted, sections=[FIGURES]))
    rows = [line.split() for line in text(made).splitlines() if "target" in line]
    assert [(row[0], row[-1]) for row in rows] == [("Containment", "missed"), ("Failed", "met")]
    assert "63\u202f% to 84\u202f%" in text(made)
    assert "Target" in text(made, "html")


def test_without_any_target_there_is_no_column_for_one(made: Made) -> None:
    """And what a sentence and a table tell of has one name."""
    page = text(made, "html")
    assert "Target" not in page
    assert '<th scope="row">CSAT</th>' in page
    assert "Satisfaction" not in page.partition("Details")[0]


def test_what_users_wrote_changes_nothing_of_the_report(made: Made) -> None:
    """Their words stand as they are: no link, no tag, no image, no code of a terminal."""
    assert COMMENT in text(made)
    page = text(made, "html")
    assert "&lt;b&gt;" in page
    assert 'href="https://evil.example' not in page
    assert "\\[click\\]\\(https://evil.example\\)" in text(made, "markdown")
    assert "https://chat.example/conversations/1-0" in page
    assert ASKED in page


def test_without_the_right_to_read_nothing_that_was_said_is_told(planted: Given) -> None:
    """And the report says why."""
    found = made_of(planted, report_of(planted, texts=False))
    for form in ("text", "html", "markdown", "json"):
        assert "refund is" not in text(found, form)
        assert ASKED not in text(found, form)
    assert "who saved this report may not read it" in text(found)


def test_the_page_has_one_heading_of_each_part_and_loads_nothing(made: Made) -> None:
    """h1 once, h2 for parts, h3 for tables; no address but links, no script."""
    page = text(made, "html")
    assert page.count("<h1") == 1
    assert page.index("<h1") < page.index("<h2") < page.index("<h3")
    for loading in ("<script", "src=", "@import", "url("):
        assert loading not in page


def test_the_pdf_reads_as_the_page_does(made: Made) -> None:
    """Its first page holds all that comes before the details."""
    pango()
    pages = PdfReader(io.BytesIO(made.written("pdf"))).pages
    first = " ".join(pages[0].extract_text().split())
    assert "Resolution fell 26.2 points" in first
    assert "Money" in first
    assert "Over time" not in first
    assert len(pages) >= 2


def test_a_pdf_without_pango_is_refused_with_the_command(
    planted: Given, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """WeasyPrint is there, and a library of the system is not: what brings it is said."""
    made = made_of(planted, report_of(planted))
    (tmp_path / "weasyprint.py").write_text("raise OSError('cannot load library libpango')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "weasyprint", raising=False)
    with pytest.raises(ConfigurationError, match=r"Pango .* apt-get install .* libpango"):
        made.written("pdf")


def test_a_pdf_without_its_extra_is_refused_with_the_command(
    planted: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is the one that installs it."""
    made = made_of(planted, report_of(planted))
    monkeypatch.setitem(extras.MODULES, "pdf", ("not_there",))  # type: ignore[arg-type]
    with pytest.raises(MissingExtraError, match=r"pip install 'otel-chat\[pdf\]'"):
        made.written("pdf")


def test_the_figures_as_csv(made: Made) -> None:
    """A line for each, with the value before."""
    rows = list(csv.DictReader(io.StringIO(text(made, "csv"))))
    [contained] = [row for row in rows if row["name"] == "containment"]
    assert float(contained["previous"]) == 1.0
    assert float(contained["value"]) == pytest.approx(46 / 61)


def test_a_template_of_its_own_takes_the_place_of_the_sections(planted: Given) -> None:
    """It writes Markdown out of the same values; what users wrote stays text in it."""
    own = "## Short\n\n{{ sentence }}\n\n{% for one in brief.quotes %}{{ one.text }}{% endfor %}"
    made = made_of(planted, report_of(planted, template=own))
    assert "<h2>Short</h2>" in text(made, "html")
    assert 'href="https://evil.example' not in text(made, "html")
    assert "What got worse" not in text(made)
    wrong = made_of(planted, report_of(planted, template="{{ brief.nothing.there }}"))
    with pytest.raises(ConfigurationError, match=r"^template: "):
        text(wrong)


def test_two_groups_stand_side_by_side(planted: Given) -> None:
    """Whatever tells them apart."""
    versus = {"kind": "comparison", "by": "variant", "a": "A", "b": "B"}
    found = text(made_of(planted, report_of(planted, sections=[versus])))
    assert "A against B" in found
    assert "no clear difference" in found


def test_a_period_without_conversations_says_so(given: Given) -> None:
    """In every form, and nothing fails."""
    made = made_of(given, report_of(given))
    assert made.sentence.startswith("Not enough to tell a change from chance: 0 conversations")
    for form in ("html", "text", "markdown", "json", "csv"):
        assert made.written(form)  # type: ignore[arg-type]


def test_what_cannot_be_compared_is_not_called_unchanged(planted: Given) -> None:
    """The first period of all says so."""
    made = made_of(planted, report_of(planted), MONDAY - timedelta(days=7))
    assert made.sentence.startswith("Not enough to tell a change from chance: 60 conversations")
