"""What a machine may lack: skipped at a desk, a failure where `OTEL_CHAT_REQUIRE` names it."""

from __future__ import annotations

import os
import shutil
from ctypes.util import find_library
from importlib import import_module
from pathlib import Path

import pytest


def demand(what: str, *, there: bool, fix: str) -> None:
    """Skips the test where `what` is not there; fails it where `OTEL_CHAT_REQUIRE` names `what`."""
    if there:
        return
    if what in os.environ.get("OTEL_CHAT_REQUIRE", "").split(","):
        pytest.fail(f"OTEL_CHAT_REQUIRE names {what!r}, and it is not here. {fix}")
    pytest.skip(f"no {what} here. {fix}", allow_module_level=True)


def chromium() -> Path:
    """The system's Chromium, best the one that has no window to draw: it takes half the time."""
    known = ("chromium-headless-shell", "chromium", "chromium-browser")
    found = next(filter(None, map(shutil.which, known)), None)
    demand("browser", there=found is not None, fix="apt-get install chromium-headless-shell")
    assert found
    return Path(found)


def pango() -> None:
    """What a PDF is drawn with."""
    there = find_library("pangoft2-1.0") is not None
    demand("pdf", there=there, fix="apt-get install libpangoft2-1.0-0 libharfbuzz-subset0")


def frameworks(*modules: str) -> None:
    """Frameworks whose packages do not go together with the rest."""
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            fix = f"{error}: make test-pythons ARGS=frameworks"
            demand("frameworks", there=False, fix=fix)
