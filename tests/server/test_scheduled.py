"""Scheduled exports: by kind and day, written anew where rows changed, to a folder and to S3."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import boto3
import pytest
from fastapi.testclient import TestClient
from moto.server import ThreadedMotoServer

from otel_chat.errors import ConfigurationError
from otel_chat.server.app import create_app
from otel_chat.server.erase import Eraser
from otel_chat.server.report.definition import read_definition
from otel_chat.server.report.keeping import Report
from otel_chat.server.report.runs import Sender
from otel_chat.server.scheduled import MANIFEST, SCHEMA, Exporter
from otel_chat.server.settings import ServerSettings
from otel_chat.server.targets import TargetError
from tests import web
from tests.server.given import NOON, Given
from tests.server.report.test_sending import Alone
from tests.server.test_marks import bearer
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_chat.server.store import Store

KEY: Final = {"s3_key_id": "AKIA", "s3_secret": "not-told"}
_days = itertools.count(400, 10)


def made(bucket: str) -> None:
    """Makes a bucket."""
    with web.Client() as client:
        client.put(bucket).raise_for_status()


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A real server that speaks as S3 does, with a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}/lake"
    made(address)
    yield address
    server.stop()


def got(address: str) -> bytes:
    """An object as a client of S3 reads it."""
    parts = urlsplit(address)
    name, _, key = parts.path.lstrip("/").partition("/")
    client = boto3.client(
        "s3",
        endpoint_url=f"{parts.scheme}://{parts.netloc}",
        aws_access_key_id="AKIA",
        aws_secret_access_key="not-told",
        region_name="us-east-1",
    )
    with contextlib.closing(client.get_object(Bucket=name, Key=key)["Body"]) as body:
        return bytes(body.read())


class Days:
    """Two days that no other test has rows on, and what is exported of them."""

    def __init__(self, store: Store) -> None:
        self.given = Given(store)
        self.first = NOON + timedelta(days=next(_days))
        self.second = self.first + timedelta(days=1)
        self.moment = self.second + timedelta(hours=3)

    def turn(self, name: str, at: datetime, **columns: Any) -> None:
        """One more turn of them, stored."""
        seconds = (at - NOON).total_seconds()
        self.given.turn(name, seconds, agent=self.given.tenant, **columns)
        self.given.save()
        self.given.rows.clear()

    def exporter(self, to: Path | str, **more: Any) -> Exporter:
        """What writes them, as of `moment`."""
        known = {
            "exports_to": str(to),
            "exports_kinds": ("sessions", "interactions"),
            "exports_days": 2,
            "exports_filters": {"agent": self.given.tenant},
        }
        grace = more.pop("grace", None)
        settings = ServerSettings(**{**known, **more})
        clock = lambda: self.moment  # noqa: E731
        return Exporter(self.given.store, settings, lambda: self.moment, clock, grace)

    def path(self, kind: str, day: datetime) -> str:
        """Where the rows of a day are."""
        return f"{kind}/day={day:%Y-%m-%d}/{kind}.parquet"


@pytest.fixture
def days(store: Store) -> Days:
    found = Days(store)
    found.turn("a", found.first, intent="refund")
    found.turn("b", found.second, intent="greet", input_messages='[{"role":"user","content":"hi"}]')
    return found


def read(store: Store, path: Path, columns: str = "conversation_id") -> list[dict[str, Any]]:
    return store.query(f"SELECT {columns} FROM file('{path}', Parquet) ORDER BY conversation_id")


def paths(written: list[Any]) -> set[str]:
    return {f"{one.kind} {one.day:%d}" for one in written}


def test_each_day_is_written_and_told_in_the_manifest(days: Days, tmp_path: Path) -> None:
    """By kind; what is told is there, whole, and of the schema that is told."""
    exporter = days.exporter(tmp_path)
    written = exporter.run()
    assert len(written) == 4
    for day, name in ((days.first, "a"), (days.second, "b")):
        rows = read(days.given.store, tmp_path / days.path("sessions", day))
        assert rows == [{"conversation_id": name}]
    told = json.loads((tmp_path / MANIFEST).read_text())
    assert told["schema"] == SCHEMA
    assert list(told["kinds"]) == ["interactions", "sessions"]
    for kind in told["kinds"].values():
        assert "conversation_id" in kind["columns"]
        for file in kind["files"]:
            content = (tmp_path / file["path"]).read_bytes()
            assert (len(content), hashlib.sha256(content).hexdigest()) == (
                file["bytes"],
                file["sha256"],
            )
    assert not [one for one in tmp_path.rglob("*") if one.name.startswith(".otel-chat")]


def test_only_days_that_changed_are_written_again(days: Days, tmp_path: Path) -> None:
    """Nothing changed: nothing; a late turn, an erasure, time that settles: their days alone."""
    exporter = days.exporter(tmp_path)
    exporter.run()
    assert exporter.run() == []
    day = f"{days.first:%d}"
    days.turn("late", days.first + timedelta(minutes=1))
    assert paths(exporter.run()) == {f"sessions {day}", f"interactions {day}"}
    ids = read(days.given.store, tmp_path / days.path("interactions", days.first))
    assert [row["conversation_id"] for row in ids] == ["a", "late"]
    Eraser(days.given.store, days.given.scope).conversation("a")
    assert paths(exporter.run()) == {f"sessions {day}", f"interactions {day}"}
    ids = read(days.given.store, tmp_path / days.path("sessions", days.first))
    assert [row["conversation_id"] for row in ids] == ["late"]
    assert exporter.run() == []


def test_what_settles_as_time_goes_by_reaches_its_day(days: Days, tmp_path: Path) -> None:
    """No row changed, and yet the conversation has an outcome now."""
    days.moment = days.second + timedelta(minutes=5)
    exporter = days.exporter(tmp_path)
    exporter.run()
    place = tmp_path / days.path("sessions", days.second)
    assert read(days.given.store, place, "state") == [{"state": "open"}]
    days.moment += timedelta(hours=2)
    assert paths(exporter.run()) == {
        f"{kind} {days.second:%d}" for kind in ("sessions", "interactions")
    }
    assert read(days.given.store, place, "state") == [{"state": "settled"}]


def test_a_changed_question_writes_everything_again(days: Days, tmp_path: Path) -> None:
    """Other filters, or texts: what was said is there only where that is set."""
    days.exporter(tmp_path).run()
    place = tmp_path / days.path("interactions", days.second)
    said = "SELECT count() AS n FROM file('{}', Parquet) WHERE toString(tuple(*)) LIKE '%hi%'"
    assert days.given.store.query(said.format(place)) == [{"n": 0}]
    assert len(days.exporter(tmp_path, exports_texts=True).run()) == 4
    assert days.given.store.query(said.format(place)) == [{"n": 1}]
    limits = {"agent": days.given.tenant, "where": "intent = refund"}
    assert len(days.exporter(tmp_path, exports_filters=limits).run()) == 4
    place = tmp_path / days.path("sessions", days.second)
    assert read(days.given.store, place) == []


def test_of_two_servers_one_writes(days: Days, tmp_path: Path) -> None:
    """Each file once, whoever claims it."""
    both = [days.exporter(tmp_path, exports_kinds=("sessions",), grace=0.5) for _ in range(2)]
    written: list[Any] = []

    def write(one: Exporter) -> None:
        written.extend(one.run())

    def together() -> bool:
        threads = [threading.Thread(target=write, args=(one,)) for one in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # On a machine that is too busy to see a claim in time both withdraw, and look again.
        return len(written) >= 2

    until(together)
    together()
    assert len(paths(written)) == len(written) == 2


def test_a_bucket_is_written_to_by_the_engine(days: Days, bucket: str) -> None:
    """The same files, told by the same manifest; late data writes its day again."""
    place = f"{bucket}/chat"
    exporter = days.exporter("s3", s3_url=place, **KEY)
    assert len(exporter.run()) == 4
    told = json.loads(got(f"{place}/{MANIFEST}"))
    files = {file["path"]: file for kind in told["kinds"].values() for file in kind["files"]}
    assert len(files) == 4
    for path, file in files.items():
        content = got(f"{place}/{path}")
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert content[:4] == content[-4:] == b"PAR1"
    before = files[days.path("sessions", days.first)]["sha256"]
    days.turn("late", days.first + timedelta(minutes=1))
    assert len(exporter.run()) == 2
    content = got(f"{place}/{days.path('sessions', days.first)}")
    assert hashlib.sha256(content).hexdigest() != before


def test_what_cannot_be_put_is_said_and_tried_again(days: Days, bucket: str) -> None:
    """Without the secret; later, as reports are."""
    address = bucket.replace("lake", "lake-that-comes-later")
    exporter = days.exporter("s3", s3_url=address, **KEY)
    with pytest.raises(TargetError, match="bucket does not exist") as caught:
        exporter.run()
    assert "not-told" not in str(caught.value)
    made(address)
    exporter.run()  # the days that were not tried before
    days.moment += timedelta(hours=2)
    exporter.run()
    assert {(one.kind, one.day) for one in exporter.files()} == {
        (kind, day.date()) for kind in ("sessions", "interactions")
        for day in (days.first, days.second)
    }  # fmt: skip


def test_a_report_is_put_into_the_bucket(given: Given, bucket: str) -> None:
    """Its files beneath the path that its definition names."""
    definition = read_definition(
        {
            "name": "Daily",
            "sections": ["headline"],
            "recipients": [{"kind": "bucket", "path": "daily", "formats": ["text", "json"]}],
        }
    )
    one = Report(definition, given.tenant, texts=False)
    known = ServerSettings(s3_url=f"{bucket}/reports", **KEY)
    sender = Sender(given.store, Alone(one), known)
    [run] = sender.send(one)
    assert (run.state, run.recipient) == ("sent", "bucket daily")
    for name in run.detail.removeprefix("wrote ").split(", "):
        assert got(f"{bucket}/reports/daily/{name}")
    assert "OTEL_CHAT_SERVER_S3_URL" in Sender(
        given.store, Alone(one), ServerSettings()
    ).post.missing(definition.recipients[0])


@pytest.mark.parametrize(
    ("given_settings", "named"),
    [
        ({"exports_to": "s3"}, "OTEL_CHAT_SERVER_S3_URL"),
        ({"exports_to": "s3", "s3_url": "http://127.0.0.1/b", "s3_key_id": "k"}, "S3_SECRET"),
        ({"exports_schedule": "every day"}, "OTEL_CHAT_SERVER_EXPORTS_SCHEDULE"),
        ({"exports_filters": {"agnt": "x"}}, "did you mean 'agent'"),
    ],
)
def test_what_cannot_work_is_refused_at_the_start(
    store: Store, tmp_path: Path, given_settings: dict[str, Any], named: str
) -> None:
    """With the setting, before a server serves."""
    settings = ServerSettings(**{"exports_to": str(tmp_path), **given_settings})
    with pytest.raises(ConfigurationError, match=named):
        Exporter(store, settings, lambda: None)


def test_the_secret_of_a_bucket_may_be_in_a_file(store: Store, tmp_path: Path) -> None:
    """In place of the environment; a file that is not there is said."""
    (tmp_path / "key").write_text("hush\n")
    known = {"exports_to": "s3", "s3_url": "http://127.0.0.1/b", "s3_key_id": "k"}
    settings = ServerSettings(**known, s3_secret_file=tmp_path / "key")
    assert getattr(Exporter(store, settings, lambda: None).target, "secret") == "hush"  # noqa: B009
    missing = ServerSettings(**known, s3_secret_file=tmp_path / "none")
    with pytest.raises(ConfigurationError, match="S3_SECRET_FILE"):
        Exporter(store, missing, lambda: None)


def test_who_sees_all_tenants_lists_and_writes_them(days: Days, tmp_path: Path) -> None:
    """By the API; a token of one tenant does neither, as the files hold all."""
    app = create_app(days.given.store, days.exporter(tmp_path).settings)
    app.state.exporter = days.exporter(tmp_path)
    client = TestClient(app, base_url="http://127.0.0.1:8400")
    scopes = ("analytics:view", "export:create")
    every = bearer(client, "*", scopes=scopes)
    one = bearer(client, days.given.tenant, scopes=scopes)
    place = "/api/v1/exports/scheduled"
    assert client.get(place, headers=one).status_code == 403
    assert client.post(place, headers=one).status_code == 403
    assert client.get(place, headers=every).json()["items"] == []
    written = client.post(place, headers=every)
    assert written.status_code == 200, written.text
    listed = client.get(place, headers=every).json()
    assert (listed["to"], len(listed["items"])) == (str(tmp_path), 4)
    told = [{item["path"] for item in answer["items"]} for answer in (listed, written.json())]
    assert told[0] == told[1]
    app.state.exporter = Exporter(days.given.store, ServerSettings(), lambda: None)
    nowhere = client.post(place, headers=every)
    assert nowhere.status_code == 422
    assert "OTEL_CHAT_SERVER_EXPORTS_TO" in nowhere.json()["error"]["message"]
