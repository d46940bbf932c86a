"""The names that the rules use are those that applications and servers really send."""

from __future__ import annotations

import dataclasses
import re

import pytest
import yaml

from otel_chat._sdk.prometheus_port import PROMOTED
from otel_chat._telemetry import instruments
from otel_chat.server.access import METRICS_READ, Scope
from otel_chat.server.gauges import WINDOWS, GaugeCollector, Gauges, Snapshot
from otel_chat.server.settings import ServerSettings
from prometheus import names
from prometheus.generate import HERE, rules
from prometheus.names import SERVER, UnknownNameError
from prometheus.settings import Settings

EVERY = Scope(tenants=None, permissions=frozenset({METRICS_READ}))


def renamed(line: instruments.Instrument) -> dict[str, instruments.Instrument]:
    """The table with one instrument under another name."""
    table = {
        **instruments.BY_NAME,
        f"{line.name}s": dataclasses.replace(line, name=f"{line.name}s"),
    }
    del table[line.name]
    return table


@pytest.mark.parametrize(
    "name",
    [
        "otel_chat.turn.duration",
        "otel_chat.handoffs",
        "otel_chat.turn.oldest",
        "otel_chat.turn.cost",
    ],
)
def test_a_renamed_instrument_breaks_the_build(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules on a name that is in the table no more cannot be generated."""
    monkeypatch.setattr(names, "BY_NAME", renamed(instruments.BY_NAME[name]))
    with pytest.raises(UnknownNameError, match=re.escape(name)):
        rules(Settings())


def test_an_attribute_taken_from_an_instrument_breaks_the_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rules on a label that the series no longer carry cannot be generated."""
    line = instruments.BY_NAME["otel_chat.handoffs"]
    less = dataclasses.replace(line, attributes=line.attributes[:1])
    monkeypatch.setattr(names, "BY_NAME", {**instruments.BY_NAME, line.name: less})
    with pytest.raises(UnknownNameError, match="otel_chat_handoff_reason"):
        rules(Settings())


@pytest.mark.parametrize("objective", [{"response_seconds": 4}, {"first_chunk_seconds": 2.5}])
def test_an_objective_between_two_bounds_is_refused(objective: dict[str, float]) -> None:
    """No bucket could tell how many turns keep it; the message names the bounds."""
    with pytest.raises(UnknownNameError, match=r"no bound.*0\.05"):
        rules(Settings(**objective))  # type: ignore[arg-type]


def test_the_analytics_server_tells_what_the_rules_ask_of_its_gauges() -> None:
    """Names and labels of the gauges of whole conversations."""
    gauges = Gauges(None, ServerSettings(), Snapshot(0.0, {name: {} for name in WINDOWS}))  # type: ignore[arg-type]
    told = {
        family.name: set(family._labelnames)
        for family in GaugeCollector(gauges, EVERY).collect()
        if hasattr(family, "_labelnames")
    }
    asked = {name: set(labels) for name, labels in SERVER.items() if "_server_" not in name}
    assert asked
    assert {name: told.get(name) for name in asked} == asked


def test_scraped_series_have_the_labels_that_prometheus_promotes() -> None:
    """Whichever way metrics come, the rules find the same attributes of the resource."""
    told = yaml.safe_load((HERE / "prometheus.yml").read_text())
    assert set(told["otlp"]["promote_resource_attributes"]) == PROMOTED
