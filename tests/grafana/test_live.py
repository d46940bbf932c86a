"""Queries as Grafana asks them, to a server that stands where Prometheus would."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grafana.board import INFINITY
from grafana.check.filled import EXPORT_INTERVAL, chosen, fill, interval, milliseconds, times
from grafana.check.live import Live, table


class Prometheus(BaseHTTPRequestHandler):
    """Has data for every query but those on errors, and refuses what it does not know."""

    asked: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        """The values of a label."""
        self._answer(["web", "a.b"])

    def do_POST(self) -> None:
        """Queries."""
        length = int(self.headers["Content-Length"])
        path, given = urlsplit(self.path).path, parse_qs(self.rfile.read(length).decode())
        query = {name: value[0] for name, value in given.items()}
        self.asked.append((path.removeprefix("/api/v1/"), query))
        if "broken" in query["query"]:
            self._send({"status": "error", "error": "unknown function"})
        elif path.endswith("exemplars"):
            self._answer([])
        elif "nothing" in query["query"]:
            self._answer({"result": []})
        elif path.endswith("range"):
            self._answer({"result": [{"metric": {}, "values": [[0, "NaN"], [1, "1"]]}]})
        else:
            number = "NaN" if "unknown" in query["query"] else "1"
            self._answer({"result": [{"metric": {}, "value": [0, number]}]})

    def _answer(self, data: Any) -> None:
        self._send({"status": "success", "data": data})

    def _send(self, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def prometheus() -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """Its address, and what it was asked."""
    asked: list[tuple[str, dict[str, str]]] = []
    handler = type("Handler", (Prometheus,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def panel(title: str, expr: str, description: str = "", **target: Any) -> dict[str, Any]:
    """A panel of one query."""
    return {
        "title": title,
        "description": description,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"x": 0, "y": 0, "w": 24, "h": 8},
        "targets": [{"refId": "A", "expr": expr, **target}],
    }


def dashboard(*panels: dict[str, Any]) -> dict[str, Any]:
    """A dashboard with one variable."""
    variable = {
        "name": "channel",
        "type": "query",
        "definition": "label_values(turns, channel)",
        "allValue": ".*",
        "current": {"value": ["$__all"]},
    }
    return {
        "title": "Test",
        "templating": {"list": [variable]},
        "annotations": {"list": []},
        "panels": list(panels),
    }


def test_each_query_is_run_with_all_values_and_with_every_value_ticked(
    prometheus: tuple[str, list[tuple[str, dict[str, str]]]],
) -> None:
    """`All` is the variable's own pattern; ticked values are escaped alternatives."""
    url, asked = prometheus
    expr = 'sum(turns{channel=~"$channel"})'
    with Live(url, 3600) as live:
        result = live.run(dashboard(panel("Turns", expr, instant=True)))
    assert (result.panels, result.queries, result.with_data, result.good) == (1, 2, 1, True)
    assert [query["query"] for _, query in asked] == [
        'sum(turns{channel=~".*"})',
        r'sum(turns{channel=~"(web|a\\.b)"})',
    ]


def test_panels_without_data_and_failing_queries_are_told(
    prometheus: tuple[str, list[tuple[str, dict[str, str]]]],
) -> None:
    """An empty panel is a fault, unless it says that it is empty when healthy; NaN is no data."""
    url, _ = prometheus
    asked = dashboard(
        panel("Course", "rate(x[$__rate_interval])"),
        panel("Gone", "nothing"),
        panel("Undefined", "unknown", instant=True),
        panel("Errors", "nothing", "Failed ones. Empty when healthy."),
        panel("Typo", "broken(x)"),
    )
    with Live(url, 3600) as live:
        result = live.run(asked)
    assert result.with_data == 1
    assert result.empty == ["Gone", "Undefined"]
    assert result.quiet == ["Errors"]
    assert result.failing == ["Typo: unknown function in broken(x)"]
    assert not result.good
    lines = table([result]).splitlines()
    assert lines[1].split() == ["Test", "5", "9", "1", "2", "(1)", "1"]
    assert "  no data: Gone" in lines


def test_a_prometheus_that_is_away_is_told() -> None:
    """Not a stack trace, but a failing dashboard."""
    with Live("http://127.0.0.1:1", 60) as live:
        result = live.run(dashboard(panel("Turns", "x")))
    assert not result.good
    assert "label/channel/values" in result.failing[0]


@given(st.floats(60, 10_000_000), st.integers(1, 24), st.sampled_from([None, "1m", "15s", "1h"]))
def test_intervals_neither_undercut_the_export_nor_overlap_too_little(
    seconds: float, columns: int, least: str | None
) -> None:
    """A step is never shorter than the export interval; a rate spans at least four of them."""
    step = interval(seconds, columns, least)
    assert step >= max(EXPORT_INTERVAL, milliseconds(least) if least else 0)
    found = times(seconds, step)
    assert milliseconds(found["__rate_interval"]) >= max(4 * EXPORT_INTERVAL, step)
    assert fill("[$__interval]", found) == f"[{step}ms]"


@given(st.lists(st.text(min_size=1), min_size=1))
@example(["\\", "0"])
def test_ticked_values_match_themselves_alone(values: list[str]) -> None:
    """The pattern matches the values and no other text, once PromQL has read its backslashes."""
    pattern = re.compile(chosen(values).replace("\\\\", "\\"), re.DOTALL)
    assert all(pattern.fullmatch(value) for value in values)
    assert not pattern.fullmatch("".join(values) + "x" + "".join(values))


def test_panels_that_ask_tempo_are_told_and_not_run(
    prometheus: tuple[str, list[tuple[str, dict[str, str]]]],
) -> None:
    """They are neither empty nor taken for good."""
    url, asked = prometheus
    traces = panel("Turns", "") | {"datasource": {"type": "tempo", "uid": "${tempo}"}}
    with Live(url, 3600) as live:
        result = live.run(dashboard(traces))
    assert (result.others, result.with_data, result.queries, asked) == (1, 0, 0, [])
    assert "not run, for others than Prometheus: 1" in table([result])


class Analytics(BaseHTTPRequestHandler):
    """Answers one turn, which has no intent."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """An answer."""
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"items": [{"start": "2026-01-01T00:00:00Z"}]}).encode())

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def test_questions_to_the_analytics_server_are_asked(
    prometheus: tuple[str, list[tuple[str, dict[str, str]]]],
) -> None:
    """What a panel shows must be in the answer; what is not limited is asked as Grafana does."""
    url, _ = prometheus
    target = {
        "url": "/api/v1/interactions?from=${__from:date:iso}&${channel:customqueryparam}",
        "root_selector": "items",
        "columns": [{"selector": "start", "text": "Time", "type": "timestamp"}],
    }
    turns = panel("Turns", "") | {
        "datasource": {"type": INFINITY, "uid": "${answers}"},
        "targets": [target],
    }
    wrong = {**target, "columns": [{"selector": "intent", "text": "Intent", "type": "string"}]}
    with ThreadingHTTPServer(("127.0.0.1", 0), Analytics) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with Live(url, 3600, f"http://127.0.0.1:{server.server_port}") as live:
            result = live.run(dashboard(turns))
            failed = live.run(dashboard({**turns, "targets": [wrong]}))
        server.shutdown()
        thread.join()
    assert (result.with_data, result.good) == (1, True)
    assert failed.failing == ["Turns: the answer has no intent"]
    assert re.fullmatch(
        r"/api/v1/interactions\?from=\d{4}-\d\d-\d\dT[\d:]+Z&\.\*", Analytics.asked[0]
    )
