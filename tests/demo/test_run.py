from __future__ import annotations

import signal
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from otel_chat.client import AnalyticsClient
from otel_chat.client.local_server import free_port
from otel_chat.demo import content
from otel_chat.demo.bot import AGENT
from otel_chat.demo.story import READ, story
from tests import web
from tests.commands import answer, run, running
from tests.waiting import until

SUBJECTS = (
    "topics", "sentiments", "entities", "workflows", "engagement/page", "engagement/device",
    "engagement/browser", "engagement/user_type", "performance/routes",
)  # fmt: skip
"""Addresses whose answers list what the demo's conversations have."""


def ports() -> tuple[str, ...]:
    return ("--port", str(free_port()), "--bot-port", str(free_port()))


@dataclass(frozen=True)
class Passed:
    """A folder with one pass of the demo in it, and what that said."""

    folder: Path
    summary: dict[str, Any]
    conversations: int


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Passed:
    folder = tmp_path_factory.mktemp("demo")
    before = folder / ".otel-chat" / "demo" / "of-an-earlier-run"
    before.parent.mkdir(parents=True)
    before.touch()
    conversations = len(story(datetime.now(UTC))) + len(content.samples())
    summary = answer("demo", "--once", *ports(), cwd=folder)
    assert not before.exists()
    return Passed(folder, summary, conversations)


def test_one_pass_stores_every_sample_once(passed: Passed) -> None:
    """`--once --json` prints what was sent and what is stored, and nothing is lost or doubled.

    That is the story of three weeks, and the samples. The demo's own store is made anew.
    """
    summary = passed.summary
    assert set(summary) == {
        "conversations", "turns", "stored_conversations", "stored_turns",
        "lost", "duplicates", "handoffs", "tokens", "overview",
    }  # fmt: skip
    assert summary["conversations"] == summary["stored_conversations"] == passed.conversations
    assert summary["turns"] == summary["stored_turns"] > 500
    assert summary["lost"] == summary["duplicates"] == 0
    overview = summary["overview"]
    assert (overview["conversations"], overview["turns"]) == (
        summary["conversations"],
        summary["turns"],
    )
    assert summary["handoffs"] == overview["handoffs"]["conversations"] > 5
    assert summary["tokens"] == overview["tokens"]["total"] > 1000
    assert overview["errors"]["turns"] > 0
    assert overview["confidence"]["count"] > 400
    assert overview["cost"]["priced_turns"] > 0


def check_tour(url: str) -> None:
    """Every step is a page of the tour, and has on it what its words say."""
    found = {step["label"]: web.get(f"{url}{step['address']}") for step in content.tour()}
    for label, page in found.items():
        assert page.status_code == 200, label
        assert "Sample data" in page.text
        assert 'aria-current="step"' in page.text, label
    saying = web.get(f"{url}/api/v1/overview/changes").json()
    assert saying["state"] == "changed"
    assert "tool ask_carrier failed (CarrierUnknownError)" in saying["sentence"]
    assert "A is better" in found["Which part"].text
    assert "ask_carrier" in found["The tool"].text
    read = web.get(f"{url}/api/v1/conversations/{READ}").json()["turns"]
    failed = next(turn for turn in read if turn["error_type"])
    spans = web.get(f"{url}/api/v1/traces/{failed['trace_id']}").json()["spans"]
    assert "execute_tool ask_carrier" in {span["name"] for span in spans}
    days = {span["start"][:10] for span in spans}
    assert days == {failed["start"][:10]}, "every span lies at its time in the story"


def test_ctrl_c_stops_the_demo_cleanly(passed: Passed) -> None:
    """After the samples it stays, with both pages up; Ctrl-C ends it with exit code 0.

    With `--keep` its samples add up with those of before; the story is told once, and the tour
    leads to its fault.
    """
    chosen = ports()
    url = f"http://127.0.0.1:{chosen[1]}"
    count = passed.conversations + len(content.samples())
    options = ("demo", "--keep", *chosen)
    with running(*options, cwd=passed.folder) as demo, AnalyticsClient(url, timeout=60) as client:
        out = demo.stdout
        until(lambda: "Chat with the bot" in (out.readline() if out else ""), timeout=240)
        until(
            lambda: client.overview(window="30d", agent=AGENT)["conversations"] == count, every=0.2
        )
        (route,) = web.get(f"{url}/api/v1/performance/routes").json()["items"]
        assert route["route"] == "/api/conversations/{conversation_id}/messages"
        assert route["status_code"] == 200
        said = {name: web.get(f"{url}/api/v1/{name}").json() for name in SUBJECTS}
        assert {name: len(answer.get("items", [])) > 1 for name, answer in said.items()} == (
            dict.fromkeys(SUBJECTS, True) | {"performance/routes": False}
        )
        assert web.get(f"{url}/api/v1/business").json()["savings"]["low"] is not None
        kinds = web.get(f"{url}/api/v1/leads").json()["kinds"]
        assert {one["kind"] for one in kinds} == {"product", "offer"}
        scales = web.get(f"{url}/api/v1/feedback").json()["scales"]
        assert [(one["lowest"], one["highest"]) for one in scales] == [(1, 5), (0, 1)]
        check_tour(url)
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=60)
        assert demo.returncode == 0, errors
        assert not client.ready()


def test_a_taken_port_is_named_with_the_option_that_changes_it(tmp_path: Path) -> None:
    """The demo says which port it is and how to choose another, before it starts anything."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for option, other in (("--port", "--bot-port"), ("--bot-port", "--port")):
            done = run("demo", "--once", option, port, other, str(free_port()), cwd=tmp_path)
            assert done.returncode == 1
            assert f"Port {port} cannot be used" in done.stderr
            assert option in done.stderr
    assert not (tmp_path / ".otel-chat" / "demo").exists()


def test_a_server_that_cannot_start_is_quoted(tmp_path: Path) -> None:
    """What the server said last stands in the error."""
    done = run("demo", "--once", "--store", "nonsense:x", *ports(), cwd=tmp_path)
    assert done.returncode == 1
    assert "The analytics server has ended" in done.stderr
    assert "store: this is no address of one. Give chdb:PATH" in done.stderr


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    """Where `.otel-chat` cannot be made the demo says so."""
    (tmp_path / ".otel-chat").write_text("a file")
    done = run("demo", "--once", *ports(), cwd=tmp_path)
    assert done.returncode == 1
    assert f"Cannot write to {tmp_path / '.otel-chat'}" in done.stderr
