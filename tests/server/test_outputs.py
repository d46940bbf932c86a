"""`otel-chat export` and `otel-chat report` against a server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from otel_chat.cli import app
from tests.server.served import served
from tests.server.test_exports import Breaking

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from otel_chat.server.store import Store
    from tests.server.given import Given

DAY = ("--from", "2026-11-10", "--to", "2026-11-11")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_an_export_is_written_to_a_file(given: Given, tmp_path: Path) -> None:
    """The rows of the window and of the filter, and nothing beside the file."""
    given.turn("mine", agent=f"bot-{given.tenant}")
    given.save()
    target = tmp_path / "sessions.jsonl"
    with served(given.store) as server:
        done = run(
            "export", "sessions", "--format", "jsonl", "--output", target, *DAY,
            "--filter", f"agent=bot-{given.tenant}", "--server", server,
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert [json.loads(row)["conversation_id"] for row in target.read_text().splitlines()] == [
        "mine"
    ]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("kind", ["messages", "all"])
def test_a_cut_export_leaves_no_file(store: Store, tmp_path: Path, kind: str) -> None:
    """It fails, says so, and what stood there before still stands."""
    target = tmp_path / "rows"
    target.write_text("older")
    with served(Breaking(store, 3)) as server:
        done = run("export", kind, "-o", target, "--server", server)
    assert (done.exit_code, "broke off" in done.output) == (1, True)
    assert (list(tmp_path.iterdir()), target.read_text()) == ([target], "older")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--filter", "agent"), "name=value"),
        (("--window", "1y"), "24h"),
        (("--from", "2026-11-10", "--window", "7d"), "either window or from"),
    ],
)
def test_what_is_wrong_is_said(
    store: Store, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """With exit code 1 and no file."""
    with served(store) as server:
        done = run("export", "events", "-o", tmp_path / "x", *arguments, "--server", server)
    assert (done.exit_code, said in done.output) == (1, True), done.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said(store: Store, tmp_path: Path) -> None:
    """Before anything is asked of the store."""
    with served(store) as server:
        done = run("export", "events", "-o", tmp_path / "no" / "x", "--server", server)
    assert (done.exit_code, "cannot be written" in done.output) == (1, True)


@pytest.mark.parametrize(
    ("form", "start"),
    [("text", "Conversations from"), ("json", "{"), ("markdown", "# Conv"), ("html", "<!doctype")],
)
def test_a_report_is_printed_or_written(
    store: Store, tmp_path: Path, form: str, start: str
) -> None:
    """The same to standard output as to a file, but for the moment at which it ends."""
    target = tmp_path / "report"
    with served(store) as server:
        printed = run("report", "--format", form, "--server", server)
        written = run("report", "--format", form, "--output", target, "--server", server)
    assert (printed.exit_code, written.exit_code) == (0, 0), printed.output
    assert printed.stdout.lstrip().startswith(start)
    assert target.read_text().lstrip().startswith(start)


def test_a_report_covers_the_days_asked_for(store: Store) -> None:
    """Text of 7 days without; here of 30, and the 30 before."""
    with served(store) as server:
        found = json.loads(
            run("report", "--days", 30, "--format", "json", "--server", server).stdout
        )
        assert run("report", "--server", server).stdout.startswith("Conversations from")
    assert found["window"]["from"] == found["previous_window"]["to"]
    assert len(found["over_time"]) in {30, 31}


def test_a_report_may_end_in_the_past(store: Store) -> None:
    """The same week again, whenever it is asked for: seven days up to a moment, which is UTC."""
    with served(store) as server:
        asked = ("report", "--to", "2026-11-11", "--format", "json", "--server", server)
        found = json.loads(run(*asked).stdout)
        assert json.loads(run(*asked).stdout) == found
    assert (found["window"]["from"], found["window"]["to"]) == (
        "2026-11-04T00:00:00Z",
        "2026-11-11T00:00:00Z",
    )
