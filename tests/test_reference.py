"""docs/reference.md is what the code says, and leaves nothing out."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import otel_chat
from grafana.check.expressions import Expression
from otel_chat._telemetry.instruments import TABLE, Instrument
from otel_chat.server.settings import ServerSettings
from tools import reference

PAGE = reference.PAGE.read_text(encoding="utf-8")
CALLS = {line.split("`")[1].split("(")[0] for line in PAGE.splitlines() if line.startswith("| `")}


def test_the_page_is_what_the_code_says() -> None:
    """After a change: python tools/reference.py."""
    assert reference.page() == PAGE


def test_every_function_is_in_it() -> None:
    """Those of the module, and the methods that a turn and a conversation are reported by."""
    for name in otel_chat.__all__:
        if inspect.isfunction(getattr(otel_chat, name)):
            assert f"otel_chat.{name}" in CALLS
    for name in ("lead", "entity", "topic", "action", "metadata", "intent", "usage"):
        assert f"turn.{name}" in CALLS
    assert {"conversation.end", "conversation.feedback", "otel_chat.record_turn"} <= CALLS


def test_every_setting_is_in_it() -> None:
    """Of the library, with its variables, and of the server; each says what it does."""
    for field in dataclasses.fields(otel_chat.Config):
        assert field.name in CALLS
    for name in ServerSettings.model_fields:
        assert f"OTEL_CHAT_SERVER_{name.upper()}" in CALLS


@pytest.mark.parametrize("line", TABLE, ids=lambda line: line.name)
def test_every_metric_is_in_it_with_a_query_of_names_that_exist(line: Instrument) -> None:
    """As the dashboards' expressions are looked at."""
    (row,) = [one for one in PAGE.splitlines() if one.startswith(f"| `{line.name}`")]
    query = row.rstrip("| ").rsplit("`", 2)[1]
    asked = Expression(query.replace("[5m]", "[$__rate_interval]"))
    assert asked.metrics
    assert not list(asked.wrong(instant=False))
