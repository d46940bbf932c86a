from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import clickhouse_connect
import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from otel_chat.errors import ConfigurationError, StoreError, StoreUnavailableError
from otel_chat.server.schema.migrations import render
from otel_chat.server.store import Store, open_store, parse_store_url, private

OPEN = """
import sys
from otel_chat.server.store import open_store
store = open_store(sys.argv[1])
store.migrate()
{then}
store.close()
"""


def run(url: str, then: str = "", **more: object) -> subprocess.CompletedProcess[str]:
    """Opens a store in a process of its own: an engine holds one path at a time."""
    return subprocess.run(
        [sys.executable, "-c", OPEN.format(then=then), url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,  # type: ignore[call-overload]
    )


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otel_chat.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_one_thread_after_another_asks_through_the_same_client(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server's threads come and go: what they ask through must not add up."""
    made = []
    connect = clickhouse_connect.get_client
    monkeypatch.setattr(
        clickhouse_connect,
        "get_client",
        lambda **how: made.append(how) or connect(**how),  # type: ignore[func-returns-value]
    )
    for _ in range(5):
        thread = threading.Thread(target=store.query, args=("SELECT 1",))
        thread.start()
        thread.join()
    assert len(made) <= 1


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"chdb:{tmp_path / 'store'}"


def test_a_second_process_is_refused_with_the_name_of_the_first(url: str) -> None:
    """While one process holds the store another is told its number and command."""
    with subprocess.Popen(
        [sys.executable, "-c", OPEN.format(then="print('open', flush=True); input()"), url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout
        assert first.stdin
        assert first.stdout.readline() == "open\n"
        second = run(url)
        first.stdin.write("\n")
    assert second.returncode == 1
    assert f"StoreLockedError: The store {url.removeprefix('chdb:')} is in use by" in second.stderr
    assert f"process {first.pid}" in second.stderr
    assert "--server URL" in second.stderr


def test_the_lock_ends_with_the_process_that_held_it(url: str) -> None:
    """After a kill -9 the next process opens the store without any help."""
    killed = run(url, then="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert killed.returncode == -9
    assert run(url).returncode == 0


def test_nothing_is_written_beside_the_store(url: str, tmp_path: Path) -> None:
    """Opening, migrating and inserting leave the working directory as it was."""
    work = tmp_path / "work"
    work.mkdir()
    insert = "store.insert_otlp('traces_in', b'\\x00', message='Traces')"
    ran = run(url, then=insert, cwd=work)
    assert ran.returncode == 0, ran.stderr
    assert list(work.iterdir()) == []


def test_a_store_opened_before_a_fork_says_so_in_the_child(store: Store) -> None:
    """A forked child gets a clear error instead of an engine that hangs."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            store.query("SELECT 1")
        except StoreError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert b"opened before a fork" in os.read(read, 1000)
    os.close(read)
    os.close(write)


def test_migrating_twice_changes_nothing(store: Store) -> None:
    """A store that is up to date stays as it is, and says that it is."""
    tables = "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()"
    before = store.query(f"{tables} ORDER BY name")
    store.migrate()
    assert store.query(f"{tables} ORDER BY name") == before
    assert store.migrations().state().current


def test_migrate_says_what_is_pending_and_then_applies_it(url: str) -> None:
    """`--check` ends with 1 and names what is missing; after `migrate` it ends with 0."""

    def lines(verb: str) -> str:
        steps = (
            "1 tables",
            "2 ingest",
            "3 days",
            "4 marks",
            "5 conversations",
            "6 other_libraries",
            "7 reports",
            "8 reviews",
            "9 unanswered",
            "10 segments",
            "11 exports",
        )
        return "".join(f"{verb}{name}\n" for name in steps)

    before = cli("migrate", "--check", "--store", url)
    applied = cli("migrate", "--store", url)
    after = cli("migrate", "--check", "--store", url)
    assert (before.returncode, before.stdout) == (1, lines("pending: "))
    assert (applied.returncode, applied.stdout) == (0, lines("applied "))
    assert (after.returncode, after.stdout) == (0, "up to date\n")


def test_migrate_notices_a_table_that_was_dropped_and_a_changed_migration(url: str) -> None:
    """A missing table and another checksum are both named."""
    drop = "store.command('DROP TABLE spans')"
    change = "store.command(\"INSERT INTO migrations SELECT 2, 'ingest', 'other', now()\")"
    assert run(url, then=f"{drop}; {change}").returncode == 0
    checked = cli("migrate", "--check", "--store", url)
    assert checked.returncode == 1
    assert "changed after it was applied: 2 ingest" in checked.stdout
    assert "missing: table spans" in checked.stdout
    served = cli("migrate", "--store", url)
    assert served.returncode != 0
    assert "changed after it was applied" in served.stderr


def test_migrate_shows_the_statements_without_opening_anything(url: str) -> None:
    """`--show` prints the DDL, for a cluster too, and makes no store."""
    shown = cli("migrate", "--show", "--store", url)
    clustered = cli("migrate", "--show", "--store", "clickhouse://nowhere/chat?cluster=main")
    assert "CREATE TABLE IF NOT EXISTS turns (" in shown.stdout
    assert "ENGINE = ReplicatedReplacingMergeTree" in clustered.stdout
    assert not Path(url.removeprefix("chdb:")).exists()


@pytest.mark.parametrize("cluster", ["", "main"])
def test_every_statement_is_read_by_the_engine(store: Store, cluster: str) -> None:
    """The DDL for one server and for a cluster parses; so does each statement alone."""
    statements = [text for step in render(cluster) for text in step.statements]
    assert len(statements) >= 13
    for statement in statements:
        assert store.query("SELECT formatQuery({text:String}) AS read", {"text": statement})


def test_on_a_cluster_rows_that_share_a_key_meet_on_one_shard() -> None:
    """Every distributed table is sharded by columns of its own sorting key."""
    tables = [text for step in render("main") for text in step.statements]
    distributed = [text for text in tables if "ENGINE = Distributed" in text]
    assert len(distributed) == 33
    assert all("sipHash64(" in text for text in distributed)
    made = [text for text in tables if not text.startswith("INSERT")]
    assert all(" ON CLUSTER 'main'" in text.split("\n", 1)[0] for text in made)


@pytest.mark.parametrize(
    "address",
    ["", "chdb:", "sqlite:///x", "clickhouse://", "clickhouse://h:port/x", "clickhouse://h/x?a=b"],
)
def test_an_address_of_another_form_is_refused_with_the_right_form(address: str) -> None:
    """What cannot be read is answered with the forms that can."""
    with pytest.raises(ConfigurationError, match="chdb:PATH or clickhouse://"):
        parse_store_url(address)


@generated(st.text(min_size=6, alphabet=st.characters(categories=["L", "N"])))
def test_a_password_is_never_shown(password: str) -> None:
    """Neither the text nor the `repr` of an address holds its password."""
    address = parse_store_url(f"clickhouse://me:{password}@db.example:8123/chat")
    assert address.password == password
    shown = f"{address} {address!r}".replace("db.example", "").replace("password", "")
    assert password not in shown or password in "clickhouse chat default StoreUrl path None"


def test_a_server_that_is_away_is_said_to_be_away() -> None:
    """Nobody listens on port 9 of this machine: the error names the address, not the password."""
    with pytest.raises(StoreUnavailableError, match=r"clickhouse://me@127\.0\.0\.1:9/chat") as said:
        open_store("clickhouse://me:secret@127.0.0.1:9/chat")
    assert "secret" not in str(said.value)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A file where the store's folder should be gives an error with its path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"), closing(open_store(f"chdb:{tmp_path}/file")):
        pass


def test_a_released_migration_is_never_changed() -> None:
    """What a released version applied is applied to the letter today: a change is a new step."""
    released = json.loads(Path(__file__).with_name("released_migrations.json").read_text())
    steps = {
        f"{step.version:04d}_{step.name}": {"server": step.checksum, "cluster": clustered.checksum}
        for step, clustered in zip(render(), render("main"), strict=True)
    }
    for version, applied in released.items():
        for name, checksums in applied.items():
            assert steps.get(name) == checksums, (version, name)


PRIVATE = """
import os, sys, tempfile
from pathlib import Path
from otel_chat.server.store import open_store
os.umask(0o022)
folder = Path(sys.argv[1])
folder.mkdir(mode=0o755)
(folder / "older").write_text("x")
left = folder / "otel-chat.tmp" / "tmpabc.raw"
left.parent.mkdir()
left.write_text("a body of a process that was killed")
before = tempfile.gettempdir()
store = open_store(f"chdb:{folder}")
assert not left.exists()
assert tempfile.gettempdir() == str(left.parent.resolve())
store.migrate()
store.insert_rows("tokens", [{"id": "x"}])
assert list(left.parent.iterdir()) == []
assert b"".join(store.stream("SELECT 1 AS x", fmt="Parquet")).startswith(b"PAR1")
store.close()
assert tempfile.gettempdir() == before and not left.parent.exists()
assert os.umask(0o022) == 0o022
found = [p for p in (folder, *folder.rglob("*")) if not p.is_symlink()]
print(sum(p.is_file() for p in found), [str(p) for p in found if p.stat().st_mode & 0o077])
"""


@pytest.mark.parametrize("name", ["store", "it's {a,b} *"])
def test_a_store_is_its_owners_alone(tmp_path: Path, name: str) -> None:
    """One that was open before is closed, which is said; nothing of a killed process is left."""
    done = subprocess.run(
        [sys.executable, "-c", PRIVATE, str(tmp_path / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    files, open_ones = done.stdout.split(maxsplit=1)
    assert int(files) > 3
    assert open_ones == "[]\n"
    assert "was open to other users (mode 755)" in done.stderr


def test_a_folder_of_somebody_elses_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where this user may not close it, the command that does is said, and the store is used."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    tmp_path.chmod(0o755)
    monkeypatch.setattr(Path, "chmod", refuse)
    private.close_to_others(tmp_path)
    assert f"chmod -R go= '{tmp_path}'" in caplog.text


@pytest.mark.parametrize("name", ["what?", "behind "])
def test_a_name_that_the_engine_would_cut_is_refused(tmp_path: Path, name: str) -> None:
    """It would write into another folder than the one that was named."""
    with pytest.raises(ConfigurationError, match=r"with \? in its name"):
        open_store(f"chdb:{tmp_path / name}")
    assert list(tmp_path.iterdir()) == []


def test_two_stores_of_a_process_keep_it_private_until_both_are_closed(tmp_path: Path) -> None:
    """In whatever order: umask and folder of temporary files are the process' own again then."""
    before = (os.umask(0o022), tempfile.tempdir)
    try:
        start = tempfile.gettempdir()
        first, second = (private.PrivateFolder(tmp_path / name) for name in "ab")
        first.release(clean=False)
        assert tempfile.gettempdir() == str(tmp_path.resolve() / "b" / "otel-chat.tmp")
        second.release(clean=False)
        assert tempfile.gettempdir() == start
    finally:
        os.umask(before[0])
        tempfile.tempdir = before[1]
