"""Runs `otel-chat` as users do: as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from otel_chat.client import AnalyticsClient
from tests.waiting import until

COMMAND = [sys.executable, "-m", "otel_chat.cli"]
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SECONDS = 400.0


def environment(**settings: str) -> dict[str, str]:
    """This process', with no settings of OpenTelemetry's but these.

    What a process sends as it ends may wait for a machine that has more to do.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return {**kept, "OTEL_CHAT_EXIT_SECONDS": "60", **settings}


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(COLUMNS="100"),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def answer(*arguments: str, cwd: Path) -> dict[str, Any]:
    """The one JSON object that a command prints."""
    done = run(*arguments, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def benchmark(script: str, *arguments: str) -> dict[str, Any]:
    """The one JSON object that a benchmark prints."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def running(*arguments: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that runs for as long as the block does, unless it ends by itself."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(COLUMNS="100"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def serving(store: Path, port: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`otel-chat serve` on a store, ready to answer."""
    url = f"http://127.0.0.1:{port}"
    options = ("--store", f"chdb:{store}", "--port", str(port))
    with (
        running("serve", *options, cwd=store.parent) as process,
        AnalyticsClient(url, timeout=5) as client,
    ):
        # To ask takes the processor that it needs to become ready.
        until(lambda: client.ready() or process.poll() is not None, timeout=SECONDS, every=0.2)
        assert process.poll() is None, process.communicate()
        yield url, process
