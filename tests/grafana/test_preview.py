"""Pictures of dashboards: drawn by Grafana's components, or refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from PIL import Image

from grafana.preview import build as building
from grafana.preview.shots import WIDTH, Asked, NotDrawnError, take

LOCK = json.loads((building.HERE / "package-lock.json").read_text())


def test_the_lock_file_pins_all_and_names_no_registry() -> None:
    """Every package has a version and a hash; where it comes from, each machine knows itself."""
    packages = {name: package for name, package in LOCK["packages"].items() if name}
    assert len(packages) > 100
    assert all(package["version"] and package["integrity"] for package in packages.values())
    assert not any("resolved" in package for package in packages.values())


def test_the_page_is_built_anew_when_a_source_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unchanged, it is taken as it is; changed, npm is needed, and its absence is told."""
    monkeypatch.setattr(building, "HERE", tmp_path)
    monkeypatch.setattr(building, "DIST", tmp_path / "dist")
    monkeypatch.setenv("PATH", "")
    (tmp_path / "dist").mkdir()
    (tmp_path / "index.html").write_text("1")
    (tmp_path / "dist" / "key").write_text(building.key())
    assert building.build() == tmp_path / "dist"

    (tmp_path / "index.html").write_text("2")
    with pytest.raises(building.BuildError, match="npm is needed"):
        building.build()


class Prometheus(BaseHTTPRequestHandler):
    """Has one series for every query."""

    def do_POST(self) -> None:
        """Queries."""
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        data: Any = []
        if self.path.endswith("query_range"):
            start, end, step = (float(asked[name][0]) for name in ("start", "end", "step"))
            moments = range(int(start), int(end), int(step))
            values = [[moment, str(moment % 7)] for moment in moments]
            data = {"result": [{"metric": {"agent": "support"}, "values": values}]}
        elif self.path.endswith("query"):
            at = float(asked["time"][0])
            data = {"result": [{"metric": {"agent": "support"}, "value": [at, "0.5"]}]}
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(json.dumps({"status": "success", "data": data}).encode())

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def served(backend: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Runs a backend; gives its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), backend) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def prometheus() -> Iterator[str]:
    """Its address."""
    with served(Prometheus) as url:
        yield url


Draw = Callable[[dict[str, Any]], list[Path]]


@pytest.fixture
def draw(page: Path, prometheus: str, tmp_path: Path) -> Draw:
    """Takes a dashboard's picture."""

    def taken(dashboard: dict[str, Any]) -> list[Path]:
        (tmp_path / "one.json").write_text(json.dumps(dashboard))
        asked = Asked(prometheus, tmp_path, tmp_path / "out", 900, themes=("dark",))
        return [shot.path for shot in take(asked, page)]

    return taken


@pytest.mark.browser
def test_a_dashboard_is_drawn_whole(draw: Draw, dashboards: list[dict[str, Any]]) -> None:
    """As wide as the screen, as high as its panels, in more than a background's colours."""
    (path,) = draw(dashboards[0])
    units = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in dashboards[0]["panels"])
    with Image.open(path) as picture:
        assert picture.width == WIDTH
        assert picture.height >= units * 38
        assert len(picture.convert("RGB").getcolors(100_000)) > 50


@pytest.mark.browser
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda panel: panel.update(type="piechart"), "panel type not drawn: piechart"),
        (lambda panel: panel["options"].update(surprise=1), "options not drawn: surprise"),
        (
            lambda panel: panel["fieldConfig"]["defaults"].update(unit="fortnights"),
            "units not drawn: fortnights",
        ),
        (
            lambda panel: panel["fieldConfig"]["defaults"].update(mood="good"),
            "field options not drawn: mood",
        ),
        (
            lambda panel: panel.update(transformations=[{"id": "joinByField", "options": {}}]),
            "transformations not drawn: joinByField",
        ),
        (
            lambda panel: panel["targets"][0].update(expr="sum(x{a='$nobody'})"),
            "nobody has no value",
        ),
    ],
)
def test_what_is_not_drawn_is_an_error(
    change: Callable[[dict[str, Any]], object],
    words: str,
    draw: Draw,
    dashboards: list[dict[str, Any]],
) -> None:
    """A panel type, an option or a variable that the preview does not know leaves no picture."""
    change(dashboards[0]["panels"][0])
    with pytest.raises(NotDrawnError, match=words):
        draw(dashboards[0])
