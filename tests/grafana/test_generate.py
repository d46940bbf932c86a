"""The dashboards that are committed are those that the code makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grafana import generate, names
from grafana.board import Board, LayoutError
from grafana.panels import About, figure
from grafana.promql import RANGE, Scope, grown
from otel_chat import semconv as sc
from prometheus.names import UnknownNameError


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    """The generated files."""
    return generate.files()


def test_committed_dashboards_are_what_the_code_makes(written: dict[str, str]) -> None:
    """A change of the code without `python -m grafana.generate` fails here, and the reverse."""
    committed = {path.name: path.read_text() for path in generate.DASHBOARDS.glob("*.json")}
    assert committed == written


def test_links_lead_to_the_analytics_server_that_was_named() -> None:
    """Another address goes into the dashboards' hidden constant."""
    for text in generate.files("https://chat.example.org").values():
        constants = {
            variable["name"]: variable["query"]
            for variable in json.loads(text)["templating"]["list"]
            if variable["type"] == "constant"
        }
        assert constants == {"analytics": "https://chat.example.org"}


def test_a_dashboard_that_is_no_more_is_taken_away(tmp_path: Path) -> None:
    """What was generated before does not stay beside the rest."""
    (tmp_path / "old.json").write_text("{}")
    generate.write(tmp_path, {"new.json": "{}\n"})
    assert [path.name for path in tmp_path.iterdir()] == ["new.json"]


def test_a_name_that_nobody_sends_breaks_the_build() -> None:
    """A metric, a label, a recording rule or a gauge that does not exist is an error."""
    scope = Scope(("environment", "agent"))
    with pytest.raises(KeyError):
        scope.count("otel_chat.turn.durations")
    with pytest.raises(UnknownNameError):
        scope.server("otel_chat_containment")
    with pytest.raises(UnknownNameError):
        scope.recorded("agent:otel_chat_nothing:rate5m")
    with pytest.raises(UnknownNameError):
        grown(scope.count(sc.METRIC_HANDOFFS), RANGE, ["otel_chat_handoff_why"])


def test_a_variable_limits_only_what_carries_its_label() -> None:
    """Ratings know no channel, and the server's gauges no environment."""
    scope = Scope(("environment", "agent", "channel", "window"))
    ratings = str(scope.count(sc.METRIC_FEEDBACK_SCORE))
    assert ratings == (
        "otel_chat_feedback_score_count"
        '{deployment_environment_name=~"$environment",gen_ai_agent_name=~"$agent"}'
    )
    gauge = str(scope.server("otel_chat_csat_ratio"))
    assert gauge == 'otel_chat_csat_ratio{agent=~"$agent",channel=~"$channel",window="$window"}'


def test_a_row_that_does_not_fill_the_grid_is_refused() -> None:
    """Panels of one height side by side, 24 wide together, 18 on a dashboard at most."""
    board = Board("x", "X", "", ())
    narrow, flat = (
        figure(About("a", "b", "short"), "vector(1)", width=width, height=height)
        for width, height in ((12, 4), (12, 3))
    )
    with pytest.raises(LayoutError, match="24"):
        board.row(narrow)
    with pytest.raises(LayoutError, match="heights"):
        board.row(narrow, flat)
    for _ in range(9):
        board.row(narrow, narrow)
    with pytest.raises(LayoutError, match="18"):
        board.row(narrow, narrow)


def test_variables_are_labels_of_the_metric_that_offers_their_values() -> None:
    """Each variable stands for labels, none of them twice."""
    labels = [label for wanted in names.VARIABLES.values() for label in wanted]
    assert len(labels) == len(set(labels))
