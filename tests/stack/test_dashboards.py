"""The dashboards on a running stack under the demo's traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from websockets.sync.client import connect

from grafana.check.__main__ import read
from grafana.check.filled import fill, opened, times
from grafana.check.live import Live, Result, table
from grafana.generate import DASHBOARDS
from grafana.panels import RARE
from otel_chat.demo import content
from otel_chat.demo.traffic import send_samples
from tests.prometheus.conftest import promtool  # noqa: F401 - the fixture
from tests.stack.running import Running, application
from tests.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
SHOWN_SECONDS = 900


def _talk(url: str) -> None:
    """A conversation over a WebSocket, so that one process has it from start to end."""
    with connect(f"{url.replace('http', 'ws', 1)}/ws/dashboards") as socket:
        socket.recv()
        for text in ("where is my order", "when do you close"):
            socket.send(text)
            socket.recv()


@pytest.fixture(scope="module")
def traffic(running: Running) -> Iterator[None]:
    """The demo's bot with its samples, and the FastAPI example; both go on running."""
    demo = application(running, "--factory", "tools.demo_app:create", "--log-level", "warning")
    example = application(
        running, "--app-dir", "examples", "fastapi_app.main:app", "--log-level", "warning"
    )
    with demo as bot, example as shop:
        for _ in range(2):  # a rate needs samples before and after
            asyncio.run(send_samples(bot, content.samples(), done=lambda: None))
            _talk(shop)
        yield


def test_every_panel_shows_the_demos_traffic(running: Running, traffic: None) -> None:
    """No query or question fails, and no panel is empty but those that may be when all is well."""
    dashboards = read(DASHBOARDS)
    needed = {
        panel["title"]
        for dashboard in dashboards
        for panel in dashboard["panels"]
        if panel["description"].endswith(RARE)
    }
    url = running.settings.ports.url("prometheus")

    def ask() -> list[Result]:
        with Live(url, SHOWN_SECONDS, running.settings.ports.url("analytics")) as live:
            return [live.run(dashboard) for dashboard in dashboards]

    def good() -> bool:
        return all(result.good and not needed & set(result.quiet) for result in ask())

    try:
        until(good, every=2.0)
    except AssertionError:
        pytest.fail(table(ask()))


def test_a_deployment_is_marked(running: Running, traffic: None) -> None:
    """The annotation's query tells the version that was not there an hour before."""
    (dashboard,) = (one for one in read(DASHBOARDS) if one["uid"] == "otel-chat-overview")
    (annotation,) = (
        one for one in dashboard["annotations"]["list"] if one["name"] == "Deployments"
    )
    assert until(lambda: running.query(fill(annotation["expr"], opened(dashboard))))


def test_prometheus_own_parser_takes_every_expression(
    promtool: Callable[..., str],  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    """As if each were a recording rule."""
    expressions = []
    for dashboard in read(DASHBOARDS):
        values = {**opened(dashboard), **times(3600, 15_000)}
        asked: list[dict[str, Any]] = [
            t for p in dashboard["panels"] for t in p["targets"] if "expr" in t
        ]
        asked += dashboard["annotations"]["list"]
        expressions += [fill(one["expr"], values) for one in asked]
    rules = [{"record": f"test:{at}", "expr": text} for at, text in enumerate(expressions)]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(path))
