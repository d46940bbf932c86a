"""The backup of docs/operating.md: taken while the server runs and writes, restored elsewhere."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from otel_chat.client import AnalyticsClient
from otel_chat.client.local_server import free_port
from tests.commands import answer, running, serving
from tests.waiting import until

PAGE = Path(__file__).parents[1] / "docs" / "operating.md"
WINDOW = {"start": "2026-11-09T00:00:00Z", "end": "2026-11-17T00:00:00Z"}
TURNS = 3


def commands_of(section: str) -> list[str]:
    """The lines of the shell snippet below a heading."""
    _, text = PAGE.read_text().split(f"### {section}\n")
    (snippet, *_) = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(snippet).strip().splitlines()


def shell(line: str, folder: Path) -> None:
    """Runs a line of a snippet."""
    environment = {**os.environ, "STORE": "chat-store"}
    subprocess.run(["sh", "-ec", line], cwd=folder, env=environment, check=True)


def transcripts(folder: Path, name: str, conversations: int) -> Path:
    """A file of conversations whose ids begin with its name."""
    path = folder / f"{name}.jsonl.gz"
    with gzip.open(path, "wt") as file:
        for number in range(conversations):
            turns = [
                {"speaker": speaker, "text": f"{speaker} {number}.{turn}"}
                for turn in range(TURNS)
                for speaker in ("user", "system")
            ]
            file.write(json.dumps({"conversation_id": f"{name}-{number}", "turns": turns}) + "\n")
    return path


def figures(url: str) -> tuple[dict[str, Any], list[str]]:
    """The overview of the transcripts' week and every conversation in it."""
    with AnalyticsClient(url) as client:
        assert client.settled()
        found = sorted(map(str, client.conversations(**WINDOW)))
        overview = client.overview(**WINDOW)
        # When each was asked is another matter.
        del overview["window"]["as_of"], overview["previous_window"]["as_of"]
        return overview, found


def turns(url: str) -> dict[str, int]:
    """How many turns each conversation has."""
    with AnalyticsClient(url) as client:
        return {line["conversation_id"]: line["turns"] for line in client.conversations(**WINDOW)}


def test_a_backup_of_a_running_server_has_the_same_figures(tmp_path: Path) -> None:
    """The snapshot stays as it was though the server goes on writing before it is packed."""
    first, second = (transcripts(tmp_path, name, 12) for name in ("first", "second"))
    snapshot, pack = commands_of("Backup of the embedded store")
    with serving(tmp_path / "chat-store", free_port()) as (url, _):
        assert answer("replay", str(first), "--server", url, cwd=tmp_path)["lost"] == 0
        before = figures(url)
        shell(snapshot, tmp_path)
        assert answer("replay", str(second), "--server", url, cwd=tmp_path)["lost"] == 0
        assert figures(url) != before
        shell(pack, tmp_path)
    for line in commands_of("Restore"):
        shell(line, tmp_path)
    with serving(tmp_path / "restored", free_port()) as (url, _):
        assert figures(url) == before


def test_a_backup_amid_writing_is_whole(tmp_path: Path) -> None:
    """What had been stored is in it; what was under way is there once it is sent again."""
    stored, sent = transcripts(tmp_path, "stored", 20), transcripts(tmp_path, "sent", 60)
    snapshot, pack = commands_of("Backup of the embedded store")
    with serving(tmp_path / "chat-store", free_port()) as (url, _):
        answer("replay", str(stored), "--server", url, cwd=tmp_path)
        with running("replay", str(sent), "--server", url, "--json", cwd=tmp_path) as replay:
            until(lambda: len(turns(url)) > 20, every=0.2)
            shell(snapshot, tmp_path)
            replay.wait(120)
            assert replay.returncode == 0
        whole = turns(url)
        shell(pack, tmp_path)
    for line in commands_of("Restore"):
        shell(line, tmp_path)
    with serving(tmp_path / "restored", free_port()) as (url, _):
        restored = turns(url)
        assert {name for name in restored if name.startswith("stored")} == {
            name for name in whole if name.startswith("stored")
        }
        assert len(restored) > 20
        answer("replay", str(sent), "--server", url, cwd=tmp_path)
        assert turns(url) == whole == dict.fromkeys(whole, TURNS)
