"""Configuration that is filled in from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.stack.expand import MissingVariableError, expand, expand_file

VALUES = st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), min_size=1)


@given(VALUES)
def test_a_variable_that_is_set_stands_as_it_is(value: str) -> None:
    """Whatever a value holds is neither expanded again nor read as anything."""
    assert expand("a: ${A:-x} ${A}", {"A": value}) == f"a: {value} {value}"


@pytest.mark.parametrize("environ", [{}, {"A": ""}])
def test_a_default_stands_for_what_is_not_set(environ: dict[str, str]) -> None:
    """As in a shell, an empty variable counts as not set; a default may be empty."""
    assert expand("a: ${A:-x:1}, ${A:-}", environ) == "a: x:1, "


def test_a_variable_without_a_default_must_be_set(tmp_path: Path) -> None:
    """The message names the file and the variable, and nothing is written."""
    source = tmp_path / "server.yml"
    source.write_text("# ${NOT_READ}\ntoken: ${OTEL_CHAT_X}\n")
    with pytest.raises(MissingVariableError, match=r"server\.yml: OTEL_CHAT_X is not set"):
        expand_file(source, tmp_path / "out.yml", {})
    assert not (tmp_path / "out.yml").exists()


def test_a_value_cannot_add_lines() -> None:
    """A line break in a value is refused: it could add settings of its own."""
    with pytest.raises(ValueError, match="A has a line break"):
        expand("a: ${A}", {"A": "1\nadmin: true"})


def test_what_is_written_is_for_its_owner_alone(tmp_path: Path) -> None:
    """It may hold secrets."""
    source = tmp_path / "server.yml"
    source.write_text("token: ${A}\n")
    written = expand_file(source, tmp_path / "new" / "out.yml", {"A": "secret"})
    assert written.read_text() == "token: secret\n"
    assert written.stat().st_mode & 0o777 == 0o600
