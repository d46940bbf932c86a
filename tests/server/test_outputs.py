"""`otel-chat export` and `otel-chat report` against a server."""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from otel_chat._common.whole_file import writing
from otel_chat.cli import app
from otel_chat.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from tests.server.given import Given
    from tests.server.served import BreakOff

DAY = ("--from", "2026-11-10", "--to", "2026-11-10")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_an_export_is_written_to_a_file(given: Given, server: str, tmp_path: Path) -> None:
    """The rows of the window and of the filter, and nothing beside the file."""
    given.turn("mine", agent=f"bot-{given.tenant}")
    given.save()
    target = tmp_path / "sessions.jsonl"
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
def test_a_cut_export_leaves_no_file(
    server: str, break_off: BreakOff, tmp_path: Path, kind: str
) -> None:
    """It fails, says so, and what stood there before still stands."""
    target = tmp_path / "rows"
    target.write_text("older")
    break_off(3)
    done = run("export", kind, "-o", target, "--server", server)
    assert (done.exit_code, "broke off" in done.output) == (1, True)
    assert (list(tmp_path.iterdir()), target.read_text()) == ([target], "older")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--filter", "agent"), "name=value"),
        (("--window", "1y"), "24h"),
        (("--from", "2026-11-10", "--window", "7d"), "either window or from"),
        (("--from", "10.11.2026"), "'from' cannot be read ('10.11.2026'): write a day"),
        (("--to", "2026-11-31"), "'to' cannot be read ('2026-11-31'): write a day"),
        (("--to", "2026-11-10", "--timezone", "Nowhere/Land"), "A time zone is named"),
    ],
)
def test_what_is_wrong_is_said(
    server: str, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """With exit code 1 and no file."""
    done = run("export", "events", "-o", tmp_path / "x", *arguments, "--server", server)
    assert (done.exit_code, said in done.output) == (1, True), done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("export", "events"), ("report",)])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no/x", "there is no folder"),
        ("folder", "it is a folder; name a file in it"),
        ("file/x", "Not a directory"),
        ("loop", "cannot be written"),
        ("x" * 300, "File name too long"),
        ("/proc/x", "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_said(
    command: tuple[str, ...], name: str, said: str, tmp_path: Path
) -> None:
    """Before anything is asked of the server, which is not even there; nothing is left behind."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    before = sorted(tmp_path.rglob("*"))
    done = run(*command, "-o", tmp_path / name, "--server", "http://127.0.0.1:1")
    assert done.exit_code == 1
    assert said in done.output, done.output
    assert "cannot be written" in done.output
    assert sorted(tmp_path.rglob("*")) == before


def test_a_disk_that_is_full_half_way_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is noticed at once or at the end; and the name says nothing of the part."""
    target = tmp_path / "rows"
    target.write_text("older")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def half(at_the_end: bool) -> None:
        with writing(target) as file:
            file.write(b"new")
            if at_the_end:
                monkeypatch.setattr(os, "fsync", full)
            else:
                file._file = Full()  # type: ignore[assignment]
                file.write(b"more")

    for at_the_end in (False, True):
        with pytest.raises(ConfigurationError, match=r"rows cannot be written: No space left"):
            half(at_the_end)
    assert (list(tmp_path.iterdir()), target.read_text()) == ([target], "older")


class Full:
    """A file on a full disk."""

    def write(self, _: bytes) -> None:
        """Nothing more goes in."""
        raise OSError(errno.ENOSPC, "No space left on device")


def test_what_stands_there_keeps_its_kind(tmp_path: Path) -> None:
    """Behind a link its target is written, with its mode; a pipe is written to as it is."""
    target, link, pipe = (tmp_path / name for name in ("target", "link", "pipe"))
    target.touch(0o640)
    target.chmod(0o640)
    link.symlink_to(target)
    with writing(link) as file:
        file.write(b"new")
    assert (link.is_symlink(), target.read_bytes(), target.stat().st_mode & 0o777) == (
        True,
        b"new",
        0o640,
    )
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with writing(pipe) as file:
        file.write(b"new")
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert pipe.is_fifo()
    assert len(list(tmp_path.iterdir())) == 3


def test_csv_for_a_spreadsheet_has_a_mark(given: Given, server: str, tmp_path: Path) -> None:
    """With `--bom`; and for any other format that is an error, with no file."""
    given.turn("mine")
    given.save()
    target = tmp_path / "rows.csv"
    done = run("export", "events", "--bom", "-o", target, *DAY, "--server", server)
    wrong = run(
        "export", "events", "--bom", "-f", "jsonl", "-o", tmp_path / "x", "--server", server
    )
    assert done.exit_code == 0, done.output
    assert target.read_bytes().startswith(b'\xef\xbb\xbf"uid"')
    assert (wrong.exit_code, "format=csv" in wrong.output) == (1, True)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("form", "start"),
    [("text", "Conversations from"), ("json", "{"), ("markdown", "# Conv"), ("html", "<!doctype")],
)
def test_a_report_is_printed_or_written(server: str, tmp_path: Path, form: str, start: str) -> None:
    """The same to standard output as to a file, but for the moment at which it ends."""
    target = tmp_path / "report"
    printed = run("report", "--format", form, "--server", server)
    written = run("report", "--format", form, "--output", target, "--server", server)
    assert (printed.exit_code, written.exit_code) == (0, 0), printed.output
    assert printed.stdout.lstrip().startswith(start)
    assert target.read_text().lstrip().startswith(start)


def test_a_report_covers_the_days_asked_for(server: str) -> None:
    """Text of 7 days without; here of 30, and the 30 before."""
    found = json.loads(run("report", "--days", 30, "--format", "json", "--server", server).stdout)
    assert run("report", "--server", server).stdout.startswith("Conversations from")
    assert found["window"]["from"] == found["previous_window"]["to"]
    assert len(found["over_time"]) in {30, 31}


def test_a_report_may_end_in_the_past(server: str) -> None:
    """The same week again, whenever it is asked for: up to a day, which counts, or a moment."""
    spans = []
    for asked in (
        ("--to", "2026-10-31"),
        ("--to", "2026-10-31", "--timezone", "Europe/Berlin"),
        ("--to", "2026-10-31T12:00:00+01:00"),
    ):
        command = ("report", *asked, "--format", "json", "--server", server)
        found = json.loads(run(*command).stdout)
        assert json.loads(run(*command).stdout) == found
        spans.append((found["window"]["from"], found["window"]["to"]))
    assert "too early" in run("report", "--to", "0001-01-02", "--server", server).output
    assert spans == [
        ("2026-10-25T00:00:00Z", "2026-11-01T00:00:00Z"),
        ("2026-10-24T22:00:00Z", "2026-10-31T23:00:00Z"),
        ("2026-10-24T11:00:00Z", "2026-10-31T11:00:00Z"),
    ]
