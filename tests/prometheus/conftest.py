"""Prometheus' own checker, built from the pinned sources."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.requirements import demand
from tools.binaries import binary

FEATURES = "--enable-feature=promql-extended-range-selectors"


@pytest.fixture(scope="session")
def promtool() -> Callable[..., str]:
    """Runs it; gives what it prints when it is content."""
    found = binary("promtool")
    demand("stack", there=found is not None, fix="make tools")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(found), FEATURES, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
