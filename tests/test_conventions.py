"""docs/conventions.md is what the code says, of versions of the conventions that are named."""

from __future__ import annotations

import re

import pytest

from tools import conventions


def test_the_page_is_what_the_code_says() -> None:
    """After a change: python tools/conventions.py."""
    assert conventions.page() == conventions.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("document", conventions.DOCUMENTS, ids=lambda document: document.path)
def test_a_document_is_linked_at_the_commit_that_was_read(document: conventions.Document) -> None:
    """A branch would show what nobody has read yet."""
    assert re.fullmatch("[0-9a-f]{40}", document.commit)
    assert f"/blob/{document.commit}/{document.path})" in conventions.page()


def test_a_name_appeared_in_one_release() -> None:
    """Of those that are told, each is a name that we write, and stands in its row."""
    told = [name for held in conventions.SINCE.values() for name in held]
    assert len(told) == len(set(told))
    assert set(told) <= set(conventions.names("gen_ai."))
    rows = [line for line in conventions.page().splitlines() if line.startswith("| `gen_ai.")]
    cells = {cell[1].strip(" `"): cell[2].strip() for cell in (row.split("|") for row in rows)}
    assert cells["gen_ai.conversation.id"] == "1.34.0"
    assert cells["gen_ai.request.model"] == ""


@pytest.mark.parametrize("document", [conventions.CHANGELOG, conventions.MIGRATION])
def test_what_tells_releases_is_linked_at_a_commit(document: conventions.Document) -> None:
    """For the same reason."""
    assert re.fullmatch("[0-9a-f]{40}", document.commit)
    assert f"/blob/{document.commit}/{document.path})" in conventions.page()


def test_each_name_was_read_in_one_document() -> None:
    """A name that no document has must not stand in the namespace of OpenTelemetry."""
    seen = [name for held in conventions.DOCUMENTS.values() for name in held]
    assert sorted(seen) == sorted(conventions.names("gen_ai."))
