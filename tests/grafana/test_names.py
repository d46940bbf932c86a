"""The names that the dashboards use are those that applications and servers really send."""

from __future__ import annotations

import dataclasses
import re

import pytest

from grafana import generate
from grafana.boards.conversation import ONLY
from grafana.names import SERVER
from otel_chat._telemetry import instruments
from otel_chat.server.access import METRICS_READ, Scope
from otel_chat.server.gauges import WINDOWS, GaugeCollector, Gauges, Snapshot
from otel_chat.server.settings import ServerSettings
from prometheus import names
from prometheus.book import DASHBOARDS, TURNS
from prometheus.generate import rules
from prometheus.names import UnknownNameError
from prometheus.settings import Settings

EVERY = Scope(tenants=None, permissions=frozenset({METRICS_READ}))


@pytest.mark.parametrize(
    "name", ["otel_chat.turn.duration", "otel_chat.feedback.score", "otel_chat.workflows"]
)
def test_a_renamed_instrument_breaks_the_build(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dashboards with a name that is in the table no more cannot be generated."""
    less = {key: line for key, line in instruments.BY_NAME.items() if key != name}
    monkeypatch.setattr(names, "BY_NAME", less)
    with pytest.raises(UnknownNameError, match=re.escape(name)):
        generate.files()


def test_an_attribute_taken_from_an_instrument_breaks_the_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Dashboards that group by a label which series no longer carry cannot be generated."""
    line = instruments.BY_NAME["otel_chat.turn.tokens"]
    less = dataclasses.replace(line, attributes=line.attributes[:-1])
    monkeypatch.setattr(names, "BY_NAME", {**instruments.BY_NAME, line.name: less})
    with pytest.raises(UnknownNameError, match="gen_ai_token_type"):
        generate.files()


def test_the_analytics_server_tells_what_the_dashboards_ask_of_its_gauges() -> None:
    """Names and labels of the gauges of whole conversations."""
    gauges = Gauges(None, ServerSettings(), Snapshot(0.0, {name: {} for name in WINDOWS}))  # type: ignore[arg-type]
    told = {
        family.name: set(getattr(family, "_labelnames", ()))
        for family in GaugeCollector(gauges, EVERY).collect()
    }
    asked = {name: set(labels) for name, labels in SERVER.items() if "ingest" not in name}
    assert asked
    assert {name: told.get(name) for name in asked} == asked


def test_alerts_lead_to_dashboards_that_there_are() -> None:
    """The rules' links name dashboards by their uid; each exists, and there are no others."""
    others = {"conversation", "audience", "releases", "turns-to-read", "answers"}
    assert {board.slug for board in generate.boards()} == {*DASHBOARDS, *others}


def test_alerts_lead_to_the_turns_that_they_are_about() -> None:
    """Each kind of turns is a choice of the dashboard, and each alert that names one exists."""
    named = {alert.name for alert in rules(Settings()).alerts}
    assert set(TURNS) <= named
    assert {kind.format(settings=Settings()) for kind in TURNS.values()} <= set(ONLY.values())
