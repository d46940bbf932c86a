"""The generated dashboards, as Grafana reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grafana import generate
from grafana.preview import build as building
from tests.requirements import chromium, demand


@pytest.fixture
def dashboards() -> list[dict[str, Any]]:
    """All of them, anew for each test."""
    return [json.loads(text) for text in generate.files().values()]


@pytest.fixture
def page() -> Path:
    """The built page; it takes hundreds of packages from npm, so tests do not build it."""
    chromium()
    stamp = building.DIST / "key"
    there = stamp.is_file() and stamp.read_text() == building.key()
    demand("preview", there=there, fix="make preview")
    return building.DIST
