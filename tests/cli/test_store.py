from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otel_chat.cli import app
from otel_chat.client import AnalyticsClient
from otel_chat.client.local_server import free_port
from tests.commands import COMMAND, answer, run, running, serving
from tests.waiting import until


def token(store: str, scope: str, cwd: Path) -> str:
    options = ("token", "create", "ci", "--scope", scope, "--tenant", "default", "--store", store)
    options += () if scope == "admin" else ("--without-admin",)
    return str(answer(*options, cwd=cwd)["token"])


def test_a_store_is_checked_shown_and_brought_up_to_date(tmp_path: Path) -> None:
    """`--check` fails on a new store, `migrate` mends it, and `--show` prints what it runs."""
    options = ("migrate", "--store", f"chdb:{tmp_path / 'store'}")
    shown = run(*options, "--show", cwd=tmp_path)
    assert "CREATE TABLE" in shown.stdout
    assert not (tmp_path / "store").exists()
    missing = run(*options, "--check", cwd=tmp_path)
    assert (missing.returncode, "pending: 1" in missing.stdout) == (1, True), missing
    assert run(*options, cwd=tmp_path).returncode == 0
    checked = run(*options, "--check", cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (0, "up to date\n")


CHANGE = """
import sys
from otel_chat.server.store import open_store
store = open_store(sys.argv[1])
change = "UPDATE checksum = 'another' WHERE 1 SETTINGS mutations_sync = 1"
store.command(f"ALTER TABLE migrations {change}")
store.close()
"""


def test_a_store_that_was_changed_is_refused_with_a_reason(tmp_path: Path) -> None:
    """A server that watches its parent says so too, and nothing else: it ends as any program."""
    store = f"chdb:{tmp_path / 'store'}"
    assert run("migrate", "--store", store, cwd=tmp_path).returncode == 0
    subprocess.run([sys.executable, "-c", CHANGE, store], check=True)
    command = [*COMMAND, "serve", "--while-stdin", "--store", store, "--port", str(free_port())]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            until(lambda: process.poll() is not None)
        finally:
            process.kill()
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 1, said
    assert said.splitlines() == ["Error: Migration 1 was changed after it was applied."]


def test_tokens_are_made_listed_and_revoked_on_a_store(tmp_path: Path) -> None:
    """The text is printed alone on stdout, once; a revoked token stays in the list as such."""
    store = f"chdb:{tmp_path / 'store'}"
    made = run(
        "token", "create", "grafana", "--scope", "analytics:view", "--tenant", "acme",
        "--expires-in-days", "30", "--without-admin", "--store", store, cwd=tmp_path,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    text = made.stdout.strip()
    [listed] = json.loads(run("token", "list", "--store", store, "--json", cwd=tmp_path).stdout)
    assert (listed["name"], listed["scopes"], listed["tenants"]) == (
        "grafana",
        ["analytics:view"],
        ["acme"],
    )
    assert listed["id"] in text
    assert text not in json.dumps(listed)
    revoked = run("token", "revoke", listed["id"], "--store", store, cwd=tmp_path)
    assert revoked.stdout == f"{listed['id']} (grafana) is revoked.\n"
    assert "revoked" in run("token", "list", "--store", store, cwd=tmp_path).stdout


def test_wrong_tokens_are_refused_with_a_reason(tmp_path: Path) -> None:
    """An unknown scope and an unknown id are named."""
    store = f"chdb:{tmp_path / 'store'}"
    unknown = run(
        "token", "create", "x", "--scope", "everything", "--tenant", "a", "--store", store,
        cwd=tmp_path,
    )  # fmt: skip
    assert (unknown.returncode, "everything" in unknown.stderr) == (1, True)
    missing = run("token", "revoke", "0123", "--store", store, cwd=tmp_path)
    assert (missing.returncode, missing.stderr) == (1, "Error: There is no token of this id.\n")


def test_a_store_with_tokens_asks_for_them(tmp_path: Path) -> None:
    """Once a token exists a server on 127.0.0.1 wants one; `--token` is how commands show it."""
    store = tmp_path / "store"
    admin = token(f"chdb:{store}", "admin", tmp_path)
    with serving(store, free_port()) as (url, _):
        refused = run("token", "list", "--server", url, cwd=tmp_path)
        assert refused.returncode == 1
        assert "--token or OTEL_CHAT_TOKEN" in refused.stderr
        assert "otel-chat token create admin --scope admin" in refused.stderr
        assert "--store STORE" in refused.stderr
        allowed = run("token", "list", "--server", url, "--token", admin, cwd=tmp_path)
        assert "ci" in allowed.stdout, allowed.stderr


def test_a_store_in_use_is_refused_with_its_holder(tmp_path: Path) -> None:
    """While a server holds an embedded store, a second command on it says who does."""
    store = tmp_path / "store"
    with serving(store, free_port()) as (_, server):
        second = run("token", "list", "--store", f"chdb:{store}", cwd=tmp_path)
        assert second.returncode == 1
        assert str(server.pid) in second.stderr


def test_a_server_stops_cleanly_on_sigterm(tmp_path: Path) -> None:
    """SIGTERM ends `serve`, and the store can be opened again at once."""
    store = tmp_path / "store"
    with serving(store, free_port()) as (_, server):
        server.send_signal(signal.SIGTERM)
        until(lambda: server.poll() is not None)
    assert run("migrate", "--check", "--store", f"chdb:{store}", cwd=tmp_path).returncode == 0


def test_a_server_for_others_wants_a_first_token_and_says_how(tmp_path: Path) -> None:
    """Both commands work as they stand there; a first token without admin is refused in words."""
    store, port = f"chdb:{tmp_path / 'my store'}", free_port()
    options = ("--store", store, "--host", "0.0.0.0", "--port", str(port))
    refused = run("serve", *options, cwd=tmp_path)
    assert (refused.returncode, "Serving" in refused.stderr) == (1, False)
    make, serve = (
        shlex.split(line)[1:]
        for line in refused.stderr.splitlines()
        if line.startswith("  otel-chat ")
    )
    assert serve == ["serve", *options]
    early = ["token", "create", "x", "--scope", "ingest:write", "--tenant", "a", *options[:2]]
    early_one = run(*early, cwd=tmp_path)
    assert (early_one.returncode, early_one.stdout) == (1, "")
    assert "Make one first that does, with the scopes admin and analytics:view" in early_one.stderr
    made = run(*make, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    with running(*serve, cwd=tmp_path) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        # The line comes when it is so: the first request is answered.
        with AnalyticsClient(f"http://127.0.0.1:{port}", token=made.stdout.strip()) as client:
            assert [one["scopes"] for one in client.tokens()] == [["admin", "analytics:view"]]
    assert said == f"Serving http://0.0.0.0:{port} from {store}. Ctrl-C stops it.\n"


@pytest.mark.parametrize(
    ("command", "address"),
    [
        ("serve", "clickhouse://me:hunter2@127.0.0.1:1/chat"),
        ("migrate", "clickhouse://me:1/hunter2@127.0.0.1:1/chat"),
        ("migrate --check", "clickhouse://me:hunter2#x@127.0.0.1:1/chat"),
        ("token list", "clickhouse://me:hunter2@127.0.0.1:port/chat"),
        ("serve", "clickhouse:me:hunter2@127.0.0.1:1"),
        ("migrate", "mysql://me:hunter2@127.0.0.1:1/chat"),
    ],
)
def test_no_command_says_the_password_of_a_store(command: str, address: str) -> None:
    """Whether the server is away or the address no address: the password is in no output."""
    found = CliRunner().invoke(app, [*command.split(), "--store", address])
    assert found.exit_code == 1
    assert "hunter2" not in found.output
    assert found.output
