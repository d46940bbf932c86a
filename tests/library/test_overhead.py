"""The overhead benchmark runs and tells what its page says that it tells."""

from __future__ import annotations

import re
from pathlib import Path

from tests.commands import benchmark

ROOT = Path(__file__).parents[2]


def test_every_figure_of_the_page_is_told() -> None:
    """One JSON object with every key that docs/overhead.md names, each a positive number."""
    told = benchmark("overhead.py", "--no-peers", "--rounds", "1", "--calls", "5")
    page = (ROOT / "docs" / "overhead.md").read_text()
    named = set(re.findall(r"`(\w+_(?:us|ratio|ms|bytes))`", page)) - {"cpu_us"}
    assert named <= told.keys()
    assert {"raw_span_us", "naive_us", "otel_chat_us", "cpu_ratio", "import_ms"} <= named
    positive = named - {"chunk_us", "async_chunk_us", "concurrent_1000_us", "import_ms"}
    assert all(told[key] > 0 for key in positive)
    assert told["peers"] == {}
