"""The benchmarks run, whatever has been added since they were last looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import benchmark

SMALL = {
    "queries.py": ("--turns", "200", "--runs", "1", "--only", "definitions"),
    "settler.py": ("--seconds", "1", "--turns", "200"),  # with what ingest.py sends
}


@pytest.mark.parametrize("script", SMALL)
def test_a_benchmark_tells_something(script: str, tmp_path: Path) -> None:
    """Over next to nothing; the folder of its stores is its own."""
    more = ("--folder", str(tmp_path)) if script == "queries.py" else ()
    told = benchmark(script, *SMALL[script], *more)
    if script == "queries.py":
        assert all(row.get("7d") or row["ms"] for row in told["endpoints"])
    else:
        assert [row["refused"] for row in told["lag"]] == [0, 0]
        assert told["settle"]["conversations"] > 0
