"""Draws each dashboard in headless Chromium and takes a picture of it."""

from __future__ import annotations

import io
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import httpx
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

WIDTH: Final = 1440
THEMES: Final = ("dark", "light")
_PATIENCE: Final = 60_000.0
_SETTLED: Final = 1000.0
_LEAST_HEIGHT: Final = 400
COLOURS: Final = 256


class NotDrawnError(Exception):
    """A dashboard asks for what the preview does not draw, or a query failed."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to draw.

    Args:
        prometheus: The address of the Prometheus whose data are drawn.
        dashboards: The folder of the dashboards' JSON.
        output: The folder of the pictures.
        seconds: How long the time is that the pictures show; it ends now.
        names: The dashboards; all of the folder without.
        themes: `dark`, `light`.
        tempo: The address of the Tempo that is asked for traces.
        analytics: The address of the analytics server that is asked for answers.
        values: Values of variables, by name.
        width: Of the window, in pixels.
    """

    prometheus: str
    dashboards: Path
    output: Path
    seconds: float
    names: Sequence[str] = ()
    themes: Sequence[str] = THEMES
    tempo: str = ""
    analytics: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    width: int = WIDTH


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture that was taken.

    Args:
        path: Where it is.
        empty: The panels without data.
    """

    path: Path
    empty: list[str] = field(default_factory=list)


class _Files(SimpleHTTPRequestHandler):
    """The built page, the dashboards under `/dashboards/`, the analytics server's answers."""

    def __init__(self, *given: object, dashboards: Path, analytics: str, directory: Path) -> None:
        self._dashboards = dashboards
        self._analytics = analytics
        super().__init__(*given, directory=str(directory))  # type: ignore[arg-type] # as given

    def do_GET(self) -> None:
        """A file, or what the analytics server answers."""
        if not self.path.startswith("/answers/"):
            super().do_GET()
            return
        url = f"{self._analytics}{self.path.removeprefix('/answers')}"
        answer = httpx.get(url, timeout=_PATIENCE / 1000, trust_env=False)
        self.send_response(answer.status_code)
        self.end_headers()
        self.wfile.write(answer.content)

    def translate_path(self, path: str) -> str:
        """Where a path's file is."""
        name = path.partition("?")[0].removeprefix("/dashboards/")
        if path.startswith("/dashboards/") and "/" not in name:
            return str(self._dashboards / name)
        return super().translate_path(path)

    def log_message(self, *_given: object) -> None:
        """Says nothing."""


@contextmanager
def _served(page: Path, asked: Asked) -> Iterator[str]:
    handler = partial(
        _Files, dashboards=asked.dashboards, analytics=asked.analytics, directory=page
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def take(asked: Asked, page: Path) -> Iterator[Shot]:
    """Takes the pictures, one after the other.

    Args:
        asked: What to draw.
        page: The folder of the built page.

    Raises:
        NotDrawnError: a panel type or an option is not drawn, or a query failed.
    """
    names = asked.names or sorted(path.stem for path in asked.dashboards.glob("*.json"))
    asked.output.mkdir(parents=True, exist_ok=True)
    with _served(page, asked) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name in names:
            for theme in asked.themes:
                yield _one(browser, address, asked, name, theme)
        browser.close()


def _save(picture: bytes, path: Path) -> None:
    """Keeps a picture small: charts and text do with 256 colours."""
    with Image.open(io.BytesIO(picture)) as read:
        few = read.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(path, optimize=True)


def _one(browser: Browser, address: str, asked: Asked, name: str, theme: str) -> Shot:
    end = time.time()
    query = {
        "dashboard": name,
        "theme": theme,
        "prometheus": asked.prometheus,
        "tempo": asked.tempo,
        **{f"var-{variable}": value for variable, value in asked.values.items()},
        "from": int((end - asked.seconds) * 1000),
        "to": int(end * 1000),
    }
    size = {"width": asked.width, "height": _LEAST_HEIGHT}
    page = browser.new_page(viewport=size)  # type: ignore[arg-type] # a TypedDict of the same
    try:
        page.goto(f"{address}/?{urlencode(query)}")
        page.wait_for_function("window.preview?.done", timeout=_PATIENCE)
        page.wait_for_load_state("networkidle")
        # What lies outside of the window, Chromium does not lay out
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": asked.width, "height": height})
        page.wait_for_timeout(_SETTLED)  # charts are drawn on the next frames
        if errors := page.evaluate("window.preview.errors"):
            raise NotDrawnError(f"{name}: {'; '.join(errors)}")
        narrow = "" if asked.width == WIDTH else f"-{asked.width}"
        path = asked.output / f"{name}-{theme}{narrow}.png"
        _save(page.screenshot(), path)
        return Shot(path, page.evaluate("window.preview.empty"))
    finally:
        page.close()
