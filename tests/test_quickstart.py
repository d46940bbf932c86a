from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from otel_chat.client import AnalyticsClient
from otel_chat.client.local_server import free_port
from tests.commands import run, serving

EXAMPLE = Path(__file__).parents[1] / "examples" / "quickstart" / "app.py"


def test_the_quickstart_is_seen_by_the_server(tmp_path: Path) -> None:
    """The example's three turns are stored with their texts, and `trace` prints them."""
    with serving(tmp_path / "store", free_port()) as (url, _), AnalyticsClient(url) as client:
        done = subprocess.run(
            [sys.executable, str(EXAMPLE), url], capture_output=True, text=True, check=True
        )
        assert f"Look at {url}/conversations/quickstart-1" in done.stdout
        found = client.conversation("quickstart-1")
        printed = run("trace", "quickstart-1", "--server", url, cwd=tmp_path).stdout
    assert [turn["intent"] for turn in found["turns"]] == ["hours", "price", ""]
    assert [turn["fallback"] for turn in found["turns"]] == [False, False, True]
    assert found["turns"][0]["reply"] == "We are open from nine to five."
    assert found["summary"]["outcome"] == "handed_off"
    assert "turn 3 ok" in printed


def test_the_quickstart_says_when_nobody_takes_its_telemetry() -> None:
    """Without a server the example's own work is done and its exit code is 1."""
    address = f"http://127.0.0.1:{free_port()}"
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), address], capture_output=True, text=True, check=False
    )
    assert "We are open from nine to five." in done.stdout
    assert done.returncode == 1
    assert f"Not everything was taken by {address}" in done.stderr
