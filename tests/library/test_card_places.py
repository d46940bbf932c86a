"""A card number in every place that text can reach is nowhere in what leaves the process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import environment
from tests.library.otlp_sink import OtlpSink

ROOT = Path(__file__).parents[2]
# Whatever the settings: hashed, never read, or the text of an error of ours or of an exporter.
NEVER_KEPT = {
    "arguments and result of a tool",
    "name that cannot be written",
    "tracker's store that fails",
    "user_id",
    "value that cannot be written",
}


def leaks(capture: str, redact: str) -> tuple[set[str], set[str]]:
    """The places whose card is in a span, event, metric, exemplar or log line; and all places."""
    with OtlpSink() as sink:
        done = subprocess.run(
            [sys.executable, "-m", "tests.library.card_places", sink.url, capture, redact],
            cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        sent = "\n".join(str(message) for _, _, message in sink.requests) + done.stderr
        assert sink.spans()
        assert sink.events()
        assert "exemplars {" in sent
    cards: dict[str, str] = json.loads(done.stdout)
    return {name for name, number in cards.items() if number in sent}, set(cards)


@pytest.mark.parametrize("capture", ["content", "bare"])
def test_no_card_leaves_the_process(capture: str) -> None:
    """Content on or off: spans, events, metrics, exemplars and log lines are without."""
    found, tried = leaks(capture, "redacted")
    assert found == set()
    assert len(tried) >= 80


def test_the_search_would_find_a_card() -> None:
    """With a redactor that does nothing nearly every place's card arrives: they are real places."""
    found, tried = leaks("content", "plain")
    missed = {name for name in tried - found if not name.startswith("refused")}
    assert missed == NEVER_KEPT
