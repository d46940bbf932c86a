from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from otel_chat import __version__
from otel_chat.cli import app
from otel_chat.client.local_server import free_port

COMMANDS = ("demo", "serve", "replay", "migrate", "trace", "export", "report", "doctor", "token")
TURN: dict[str, Any] = {
    "trace_id": "0a" * 16,
    "span_id": "0b" * 8,
    "start": "2026-11-20T10:00:00Z",
    "duration": 1.25,
    "status": "error",
    "error_type": "LookupError",
    "user_message": "where is [my] order?",
    "reply": None,
    "intent": "order_status",
    "confidence": 0.913,
    "fallback": False,
    "tokens": {"input": 12, "output": 3, "cache_read": None, "reasoning": None},
    "cost": "0.000012",
    "cost_source": "local",
    "handoff": {"triggered": False, "reason": "", "target": ""},
}


def span(span_id: str, parent: str, name: str, status: str = "ok") -> dict[str, Any]:
    return {
        "span_id": span_id,
        "parent_span_id": parent,
        "name": name,
        "duration": 0.0125,
        "status": status,
    }


ANSWERS: dict[str, Any] = {
    "/api/v1/conversations/c-1": {
        "summary": {
            "conversation_id": "c-1",
            "agent": "support",
            "channel": "web",
            "outcome": "failed",
        },
        "turns": [TURN],
        "events": [],
    },
    f"/api/v1/traces/{'0a' * 16}": {
        "trace_id": "0a" * 16,
        "spans": [
            span("0b" * 8, "", "invoke_agent support", "error"),
            span("01" * 8, "0b" * 8, "execute_tool ask_carrier", "error"),
            span("02" * 8, "01" * 8, "GET /carrier"),
        ],
    },
}


@contextmanager
def api(answer: Callable[[str], tuple[int, Any]]) -> Iterator[str]:
    """A server that answers GET requests by path with JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = answer(self.path)
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def call(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    found = CliRunner().invoke(app, arguments)
    return found.exit_code, found.stdout, found.stderr


def test_the_version_is_the_packages() -> None:
    """`--version` names the package and its version."""
    assert call("--version") == (0, f"otel-chat {__version__}\n", "")


def test_help_names_every_command() -> None:
    """`--help` lists the commands, and each command explains itself."""
    code, text, _ = call("--help")
    assert code == 0
    for command in COMMANDS:
        assert command in text
        assert call(command, "--help")[0] == 0


def test_help_imports_nothing_heavy() -> None:
    """What `--help` needs leaves out server, SDK, engine and machine learning."""
    heavy = {"chdb", "clickhouse_connect", "fastapi", "httpx", "opentelemetry.sdk", "sklearn"}
    script = f"import sys, otel_chat.cli; print(sorted({heavy!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert run.stdout == b"[]\n"


def test_trace_prints_turns_as_trees() -> None:
    """The tree has what was said and understood, and each span below its parent."""
    with api(lambda path: (200, ANSWERS[path])) as server:
        code, text, _ = call("trace", "c-1", "--server", server)
    assert code == 0
    lines = text.splitlines()
    assert lines[0] == "c-1  support  web  1 turn  failed"
    assert lines[1].startswith("turn 1 error 1.25 s")
    assert "where is [my] order?" in text
    assert "confidence 0.91" in text
    assert "tokens 12 input, 3 output" in text
    tool, child = (next(at for at, x in enumerate(lines) if n in x) for n in ("ask_c", "GET /c"))
    assert child == tool + 1
    assert lines[child].index("GET") > lines[tool].index("execute")
    assert "12.5 ms error" in lines[tool]


def test_trace_as_json_is_what_the_server_says() -> None:
    """`--json` prints the conversation and its traces, unchanged."""
    with api(lambda path: (200, ANSWERS[path])) as server:
        _, text, _ = call("trace", "c-1", "--server", server, "--json")
    assert json.loads(text) == {
        "conversation": ANSWERS["/api/v1/conversations/c-1"],
        "traces": {"0a" * 16: ANSWERS[f"/api/v1/traces/{'0a' * 16}"]},
    }


@pytest.mark.parametrize(
    ("status", "message"),
    [(404, "There is no such conversation."), (403, "Not yours."), (503, "Away.")],
)
def test_what_the_server_refuses_is_said(status: int, message: str) -> None:
    """The server's message stands on stderr, stdout stays empty, the exit code is 1."""
    refusal = {"error": {"code": "x", "message": message, "field": None}}
    with api(lambda _: (status, refusal)) as server:
        code, text, errors = call("trace", "c-9", "--server", server)
    assert (code, text, errors) == (1, "", f"Error: {message}\n")


def test_a_server_that_is_not_there_is_said() -> None:
    """Without a server the message names the address and the remedy."""
    code, _, errors = call("trace", "c-1", "--server", f"http://127.0.0.1:{free_port()}")
    assert code == 1
    assert "does not answer" in errors
    assert "otel-chat serve" in errors


def test_tokens_can_be_made_where_no_server_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has not started one yet is told of `--store`."""
    monkeypatch.setattr("otel_chat.cli.token.DEFAULT_SERVER", f"http://127.0.0.1:{free_port()}")
    code, _, errors = call("token", "create", "x", "--scope", "admin", "--tenant", "*")
    assert (code, "does not answer" in errors, "give --store STORE" in errors) == (1, True, True)


@pytest.mark.parametrize("given", [(), ("--store", "chdb:x", "--server", "http://127.0.0.1:1")])
def test_replay_wants_one_place_to_send_to(given: tuple[str, ...], tmp_path: Path) -> None:
    """Neither and both of --store and --server are refused."""
    file = tmp_path / "t.jsonl"
    file.write_text("")
    code, _, errors = call("replay", str(file), *given)
    assert (code, errors) == (1, "Error: Give either --store URL or --server URL.\n")


def test_a_bad_transcript_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """The error names line and field; the server, which is not even there, is not asked."""
    file = tmp_path / "t.jsonl"
    file.write_text('{"conversation_id": "a", "turns": []}\n{"conversation_id": "b"}\n')
    code, text, errors = call("replay", str(file), "--server", "http://127.0.0.1:1", "--json")
    assert (code, text) == (1, "")
    assert "line 2, turns: is missing" in errors


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where a part is not installed the message says what to install."""
    monkeypatch.setitem(sys.modules, "httpx", None)
    for module in ("otel_chat.client", "otel_chat.client.analytics"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    code, _, errors = call("trace", "c-1")
    assert code == 1
    assert "pip install 'otel-chat[cli]'" in errors
