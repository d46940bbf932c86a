"""Processes that are started, watched and stopped together, with small ones in their place."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from otel_chat.client.local_server import free_port
from tests.waiting import until
from tools.stack.parts import Ports
from tools.stack.processes import HOST, Part, Stack, StackError, answers

SERVER = """
import http.server, sys
print("up", flush=True)
handler = http.server.SimpleHTTPRequestHandler
http.server.test(handler, port=int(sys.argv[1]), bind="127.0.0.1")
"""


def part(name: str, code: str = SERVER) -> Part:
    """A part that is a Python program."""
    port = free_port()
    command = [sys.executable, "-c", code, str(port)]
    return Part(name, command, {f"{name}-port": port}, f"http://{HOST}:{port}/")


def test_parts_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    """Each is ready before the next begins; in the end none answers."""
    order: list[str] = []
    parts = [part("first"), part("second")]
    with Stack(parts, tmp_path, started=order.append) as stack:
        assert order == ["first", "second"]
        assert all(answers(each.ready) for each in parts)
        assert stack["first"].running
    assert not any(answers(each.ready) for each in parts)


def test_each_line_is_said_with_the_name_of_its_part_and_kept(tmp_path: Path) -> None:
    """What a part writes is shown at once, and is in its log."""
    said: list[tuple[str, str]] = []
    with Stack([part("one")], tmp_path, say=lambda *line: said.append(line)):
        until(lambda: ("one", "up") in said)
    assert "up\n" in (tmp_path / "one.log").read_text()


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    """The message says the port, what it is for, and the option that chooses another."""
    first, second = part("first"), part("second")
    with socket.socket() as other:
        other.bind((HOST, second.ports["second-port"]))
        other.listen()
        started: list[str] = []
        stack = Stack([first, second], tmp_path, started=started.append)
        with pytest.raises(StackError, match=r"Port \d+, for second, .*--second-port"), stack:
            pass
    assert started == []


def test_a_part_that_ends_at_once_is_told_with_its_last_lines(tmp_path: Path) -> None:
    """Those before it are stopped again."""
    first = part("first")
    second = part("second", "import sys; sys.exit('no such setting')")
    with (
        pytest.raises(StackError, match=r"second has ended \(exit code 1\)(.|\n)*no such setting"),
        Stack([first, second], tmp_path),
    ):
        pass
    assert not answers(first.ready)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The message names the part and what was to be run."""
    missing = Part("one", [str(tmp_path / "nothing")], {}, "http://127.0.0.1:1/")
    with (
        pytest.raises(StackError, match=r"one cannot be run: .*nothing"),
        Stack([missing], tmp_path),
    ):
        pass


def test_a_crash_while_it_runs_ends_the_watch(tmp_path: Path) -> None:
    """Watching tells which part ended by itself."""
    with Stack([part("one")], tmp_path) as stack:
        os.kill(stack["one"].pid, signal.SIGKILL)
        with pytest.raises(StackError, match=r"one has ended \(exit code -9\)"):
            stack.watch()


def test_a_part_can_be_killed_and_started_again(tmp_path: Path) -> None:
    """As the tests of faults do."""
    with Stack([part("one")], tmp_path) as stack:
        stack["one"].kill()
        assert not stack["one"].running
        stack["one"].start()
        assert answers(stack["one"].part.ready)


def test_free_ports_are_all_different() -> None:
    """Nine ports, none twice."""
    ports = Ports.free()
    found = {getattr(ports, name) for name in ports.__dataclass_fields__}
    assert len(found) == len(ports.__dataclass_fields__)


def test_the_command_says_what_is_not_built(tmp_path: Path) -> None:
    """`make stack` on a machine without the servers ends with what to run."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.stack", "--data", str(tmp_path)],
        env={**os.environ, "OTEL_CHAT_TOOLS": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "stack: prometheus is not built yet. Run: make tools\n"
