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


def test_each_name_was_read_in_one_document() -> None:
    """A name that no document has must not stand in the namespace of OpenTelemetry."""
    seen = [name for held in conventions.DOCUMENTS.values() for name in held]
    assert sorted(seen) == sorted(conventions.names("gen_ai."))
