from __future__ import annotations

import gzip
import json
import random
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from otel_chat.client import AnalyticsClient
from otel_chat.client.local_server import free_port
from otel_chat.demo import content
from otel_chat.replay.schedule import DEFAULT_START
from tests.commands import answer, run, running, serving
from tests.waiting import until

WINDOW = {"start": "2026-11-09T00:00:00Z", "end": "2026-11-17T00:00:00Z"}


def written(folder: Path, conversations: int, turns: int = 6) -> Path:
    """A transcript file of the demo's phrases, without times."""
    chance = random.Random(7)
    said = [(intent, phrase) for intent, all_ in content.phrases().items() for phrase in all_]
    path = folder / "transcripts.jsonl.gz"
    with gzip.open(path, "wt") as file:
        for number in range(conversations):
            lines: list[dict[str, Any]] = []
            for intent, phrase in chance.sample(said, turns):
                lines.append({"speaker": "user", "text": phrase, "intents": [intent]})
                lines.append({"speaker": "system", "text": f"About {intent}.", "acts": ["INFORM"]})
            file.write(json.dumps({"conversation_id": f"c-{number}", "turns": lines}) + "\n")
    return path


def figures(summary: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in summary.items() if name != "seconds"}


@dataclass(frozen=True)
class Replayed:
    """A replay of 15 conversations: how it was asked for, and what it said."""

    options: tuple[str, ...]
    folder: Path
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    folder = tmp_path_factory.mktemp("replayed")
    options = ("replay", str(written(folder, 15)), "--store", f"chdb:{folder / 'store'}")
    return Replayed(options, folder, answer(*options, cwd=folder))


def test_a_replay_again_stores_nothing_twice(replayed: Replayed) -> None:
    """The second run on the same store sends everything again and changes no figure."""
    first = replayed.summary
    assert first["conversations"] == first["stored_conversations"] == 15
    assert first["turns"] == first["stored_turns"] == 90
    assert first["lost"] == first["duplicates"] == first["skipped"] == 0
    assert figures(answer(*replayed.options, cwd=replayed.folder)) == figures(first)


def test_a_part_first_and_then_the_whole_is_the_whole(tmp_path: Path) -> None:
    """`--limit` replays the first conversations; replaying all of them adds the others only."""
    file = written(tmp_path, 20)
    with serving(tmp_path / "store", free_port()) as (url, _):
        options = ("replay", str(file), "--server", url)
        assert answer(*options, "--limit", "7", cwd=tmp_path)["stored_conversations"] == 7
        whole = answer(*options, cwd=tmp_path)
        with AnalyticsClient(url) as client:
            overview = client.overview(**WINDOW)
    assert (whole["stored_conversations"], whole["stored_turns"]) == (20, 120)
    assert (overview["conversations"], overview["turns"]) == (20, 120)


def test_a_server_killed_in_the_middle_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """What was acknowledged before SIGKILL is there once, and the replay finishes with lost 0."""
    file = written(tmp_path, 200)
    port, store = free_port(), tmp_path / "store"
    url = f"http://127.0.0.1:{port}"
    options = ("replay", str(file), "--server", url, "--json")
    with serving(store, port) as (_, server), running(*options, cwd=tmp_path) as replay:
        with AnalyticsClient(url) as client:
            before = until(lambda: client.overview(**WINDOW)["turns"], every=0.1)
            server.send_signal(signal.SIGKILL)
            server.wait()
        with serving(store, port), AnalyticsClient(url) as client:
            assert client.overview(**WINDOW)["turns"] >= before
            out, errors = replay.communicate(timeout=400)
            assert replay.returncode == 0, errors
            overview = client.overview(**WINDOW)
    summary = json.loads(out)
    assert (summary["stored_turns"], summary["lost"], summary["duplicates"]) == (1200, 0, 0)
    assert (overview["turns"], overview["conversations"]) == (1200, 200)


def test_skipped_lines_are_counted_and_named(tmp_path: Path) -> None:
    """`--skip-bad` replays the other lines and says which were left out."""
    file = tmp_path / "t.jsonl"
    good = '{"conversation_id": "a", "turns": [{"speaker": "user", "text": "hi"}]}'
    file.write_text(f'{good}\n{{"conversation_id": 3}}\n')
    done = run(
        "replay", str(file), "--store", f"chdb:{tmp_path / 's'}", "--skip-bad", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    summary = json.loads(done.stdout)
    assert (summary["stored_turns"], summary["skipped"], summary["lost"]) == (1, 1, 0)
    assert "skipped: line 2, conversation_id" in done.stderr


def test_conversations_begin_in_the_documented_days(replayed: Replayed) -> None:
    """Without times in the file the window is that of the documentation, whatever the day is."""
    assert replayed.summary["from"] >= DEFAULT_START.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert replayed.summary["to"] < "2026-11-16T01:00:00Z"
