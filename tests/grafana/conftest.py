"""The generated dashboards, as Grafana reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from grafana import generate


@pytest.fixture
def dashboards() -> list[dict[str, Any]]:
    """All of them, anew for each test."""
    return [json.loads(text) for text in generate.files().values()]
