"""Prometheus' own checker, built from the pinned sources."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.requirements import demand
from tools.binaries import binary

FEATURES = "--enable-feature=promql-extended-range-selectors"


def program(name: str) -> str:
    """A program that was built from the pinned sources."""
    found = binary(name)
    demand("stack", there=found is not None, fix="make tools")
    return str(found)


@pytest.fixture(scope="session")
def promtool() -> Callable[..., str]:
    """Runs it; gives what it prints when it is content."""
    return lambda *arguments: said(program("promtool"), FEATURES, *arguments)


@pytest.fixture(scope="session")
def ruletest() -> Callable[..., str]:
    """Runs promtool's tests of rules; gives what it prints when they hold."""
    return lambda *arguments: said(program("ruletest"), *arguments)


def said(*command: str) -> str:
    """What a program prints when it is content."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
