"""Reports are sent by real mail and web servers, once each, whatever happens on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import standardwebhooks

from otel_chat.server.report.claims import Claims
from otel_chat.server.report.definition import read_definition
from otel_chat.server.report.keeping import Report, Shelf
from otel_chat.server.report.runs import Sender
from otel_chat.server.settings import ServerSettings
from tests.requirements import pango
from tests.server.given import Given
from tests.server.report.receivers import Mailbox, Site, certificate, mail_server, web_server
from tests.waiting import until

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


NINE = datetime(2026, 11, 23, 9, 0, 5, tzinfo=UTC)
MAIL = {"kind": "email", "to": ["boss@example.com"], "attach": ["csv"]}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


@pytest.fixture
def site() -> Iterator[Site]:
    with web_server() as found:
        yield found


class Clock:
    """A clock that tests set."""

    def __init__(self, moment: datetime = NINE) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        """What it shows."""
        return self.moment


def settings(box: Mailbox | None = None, **given: Any) -> ServerSettings:
    mail = {"smtp_host": "127.0.0.1", "smtp_port": box.port, "smtp_tls": "none"} if box else {}
    return ServerSettings(**{"smtp_from": "reports@chat.example", **mail, **given})


class Alone(Shelf):
    """One report, as if it had been saved long ago."""

    def __init__(self, one: Report) -> None:
        self.one = one

    def reports(self, scope: Any) -> list[Report]:
        """Whoever asks."""
        return [self.one]


def weekly(given: Given, *recipients: dict[str, Any], **fields: Any) -> Report:
    definition = read_definition(
        {
            "name": "Weekly",
            "schedule": "0 9 * * 1",
            "sections": ["headline"],
            "recipients": recipients,
            **fields,
        }
    )
    return Report(definition, given.tenant, texts=True, saved_at=datetime(2025, 1, 1, tzinfo=UTC))


def sender(given: Given, one: Report, known: ServerSettings, **more: Any) -> Sender:
    return Sender(given.store, Alone(one), known, **{"now": Clock(), **more})


def states(found: Sender, one: Report) -> list[str]:
    return [run.state for run in found.runs(one)]


def test_an_email_has_text_page_and_attachments(given: Given, box: Mailbox) -> None:
    """Subject, sender, one id for the run; the PDF and the figures beside."""
    pango()
    one = weekly(
        given, {**MAIL, "to": ["boss@example.com", "b@example.com"], "attach": ["pdf", "csv"]}
    )
    work = sender(given, one, settings(box))
    work.tick()
    [message] = box.messages
    assert str(message["Subject"]).startswith("Weekly: Not enough to tell a change from chance")
    assert (message["From"], message["To"]) == (
        "reports@chat.example", "boss@example.com, b@example.com",
    )  # fmt: skip
    assert str(message["Message-ID"]).endswith("@chat.example>")
    assert "0 conversations" in message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert '<main class="report">' in message.get_body(("html",)).get_content()  # type: ignore[union-attr]
    files = {part.get_filename(): part.get_content() for part in message.iter_attachments()}
    assert set(files) == {"weekly-2026-11-16.pdf", "weekly-2026-11-16.csv"}
    assert files["weekly-2026-11-16.pdf"].startswith(b"%PDF-")
    [run] = work.runs(one)
    assert (run.state, run.recipient) == ("sent", "email b@example.com, boss@example.com")
    assert run.period == "2026-11-16T00:00:00Z/2026-11-23T00:00:00Z"


def test_a_pdf_is_drawn_once_however_many_get_it(
    given: Given, box: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two mails and a folder have the same file."""
    pango()
    import weasyprint

    drawn: list[bytes] = []
    draw = weasyprint.HTML.write_pdf

    def counting(page: Any, *rest: Any, **more: Any) -> Any:
        drawn.append(draw(page, *rest, **more))
        return drawn[-1]

    monkeypatch.setattr(weasyprint.HTML, "write_pdf", counting)
    mails = [{**MAIL, "to": [to], "attach": ["pdf"]} for to in ("a@example.com", "b@example.com")]
    folder = {"kind": "folder", "path": "weekly", "formats": ["pdf"]}
    work = sender(given, weekly(given, *mails, folder), settings(box, report_folder=tmp_path))
    work.tick()
    [pdf] = drawn
    files = [part.get_content() for one in box.messages for part in one.iter_attachments()]
    assert files == [pdf, pdf]
    assert (tmp_path / "weekly" / "weekly-2026-11-16.pdf").read_bytes() == pdf


def test_mail_goes_over_tls_with_a_login(
    given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate is checked; the password comes from a file, and never goes in clear."""
    certified = certificate(tmp_path)
    (tmp_path / "password").write_text("right\n")
    with mail_server(certified) as box:
        known = {
            "smtp_tls": "starttls", "smtp_user": "me", "smtp_password_file": tmp_path / "password",
        }  # fmt: skip
        one = weekly(given, MAIL)
        untrusted = sender(given, one, settings(box, **known))
        untrusted.tick()
        assert states(untrusted, one) == ["failed"]
        assert box.users == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        later = Clock(datetime.now(UTC) + timedelta(hours=1))
        one = weekly(given, MAIL, schedule="* * * * *", name="Now")
        trusted = sender(given, one, settings(box, **known), now=later)
        trusted.tick()
        assert states(trusted, one) == ["sent"]
        assert box.users == ["me right"]
        clear = {**known, "smtp_tls": "none", "smtp_host": "mail.example"}
        one = weekly(given, MAIL, name="Clear")
        careless = sender(given, one, settings(box, **clear))
        careless.tick()
        [run] = careless.runs(one)
        assert (run.state, "over TLS only" in run.detail) == ("failed", True)


def test_a_webhook_is_signed_and_goes_where_the_settings_allow(
    given: Given, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver can check it; another origin is refused, and a redirect is not followed."""
    monkeypatch.setenv("OTEL_CHAT_REPORT_SECRET_HOOK", SECRET)
    hook = {"kind": "webhook", "url": f"{site.address}/in?x=1", "secret": "hook"}
    one = weekly(given, hook)
    outside = sender(given, one, settings())
    outside.tick()
    assert site.requests == []
    [run] = outside.runs(one)
    assert "OTEL_CHAT_SERVER_REPORT_ORIGINS" in run.detail
    allowed = settings(report_origins=[site.address])
    inside = sender(given, one, allowed, now=Clock(datetime.now(UTC)))
    [run] = inside.send(one)
    assert run.state == "sent"
    [(path, headers, body)] = site.requests
    assert path == "/in?x=1"
    told = standardwebhooks.Webhook(SECRET).verify(body, headers)
    assert told["data"]["sentence"].startswith("Not enough to tell a change from chance")
    assert SECRET not in repr(inside.runs(one))
    site.answers = [302]
    one = weekly(given, hook, name="Moved")
    moved = sender(given, one, allowed)
    moved.tick()
    assert [(run.state, run.detail) for run in moved.runs(one)] == [
        ("refused", "It answered 302; redirects are not followed."),
    ]
    assert len(site.requests) == 2


def test_slack_and_teams_get_their_own_formats(given: Given, site: Site, tmp_path: Path) -> None:
    """At the address that the secret's file holds; without it, what to set is told."""
    (tmp_path / "team_hook").write_text(f"{site.address}/secret-path")
    both = ({"kind": "slack", "secret": "team_hook"}, {"kind": "teams", "secret": "team_hook"})
    one = weekly(given, *both, {"kind": "slack", "secret": "none"}, title="A <b> & c")
    work = sender(given, one, settings(report_secrets=tmp_path))
    work.tick()
    slack, teams = (json.loads(body) for _, _, body in site.requests)
    assert slack["text"].startswith("A &lt;b&gt; &amp; c: Not enough")
    assert [block["type"] for block in slack["blocks"]] == [
        "header", "section", "section", "context",
    ]  # fmt: skip
    [card] = teams["attachments"]
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert card["content"]["body"][0]["text"] == "A <b> & c"
    told = {run.recipient: (run.state, run.detail) for run in work.runs(one)}
    assert told["slack team_hook"][0] == told["teams team_hook"][0] == "sent"
    words = (
        "Set OTEL_CHAT_REPORT_SECRET_NONE, or put a file none into the folder of"
        " OTEL_CHAT_SERVER_REPORT_SECRETS."
    )
    assert told["slack none"] == ("failed", words)
    assert "secret-path" not in repr(told)


def test_a_folder_gets_whole_files_and_nothing_lies_outside(given: Given, tmp_path: Path) -> None:
    """A file for each format, in place of those before; a link that leads out is refused."""
    base = tmp_path / "out"
    base.mkdir()
    (base / "away").symlink_to(tmp_path)
    inside = {"kind": "folder", "path": "team/weekly", "formats": ["html", "text", "json"]}
    one = weekly(given, inside, {"kind": "folder", "path": "away"})
    work = sender(given, one, settings(report_folder=base))
    work.tick()
    assert sorted(path.name for path in (base / "team" / "weekly").iterdir()) == [
        "weekly-2026-11-16.html", "weekly-2026-11-16.json", "weekly-2026-11-16.txt",
    ]  # fmt: skip
    told = {run.recipient: run.state for run in work.runs(one)}
    assert told == {"folder team/weekly": "sent", "folder away": "refused"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("prepare", "state", "mails"),
    [
        (lambda box: box.answers.append("451 later"), "failed", 1),
        (lambda box: box.answers.append("550 never"), "refused", 0),
        (lambda box: setattr(box, "breaks_off", True), "unknown", 1),
    ],
)
def test_what_failed_is_tried_again_and_nothing_else(
    given: Given, box: Mailbox, prepare: Callable[[Mailbox], None], state: str, mails: int
) -> None:
    """After a pause that doubles; what was refused or may have arrived is not sent again."""
    prepare(box)
    # Of a year, so that no other period comes while the test runs.
    one = weekly(given, MAIL, schedule="0 0 1 1 *")
    clock = Clock(datetime.now(UTC))
    work = sender(given, one, settings(box), now=clock)
    work.tick()
    assert states(work, one) == [state]
    work.tick()
    assert len(work.runs(one)) == 1
    clock.moment = datetime.now(UTC) + timedelta(minutes=2)
    work.tick()
    assert len(box.messages) == mails
    assert states(work, one) == (["sent", "failed"] if state == "failed" else [state])


def test_it_is_tried_so_often_and_then_left(given: Given) -> None:
    """A server that is never there is not asked for ever."""
    clock = Clock(datetime.now(UTC))
    one = weekly(given, MAIL, schedule="0 0 1 1 *")
    work = sender(given, one, settings(smtp_host="127.0.0.1", smtp_port=1), now=clock)
    for _ in range(10):
        work.tick()
        clock.moment += timedelta(hours=2)
    assert states(work, one) == ["failed"] * 8


def test_an_answer_that_never_comes_is_unknown(
    given: Given, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The web server took it and hung up; one that is busy is asked again."""
    monkeypatch.setenv("OTEL_CHAT_REPORT_SECRET_CHANNEL", f"{site.address}/x")
    site.answers = [0, 503, 404]
    told = []
    for name in ("a", "b", "c"):
        one = weekly(given, {"kind": "slack", "secret": "channel"}, name=name)
        work = sender(given, one, settings())
        work.tick()
        told += states(work, one)
    assert told == ["unknown", "failed", "refused"]


def test_a_report_is_sent_when_its_time_has_come(given: Given, box: Mailbox) -> None:
    """Not before, once after, and of each period; what was due before it was saved is not."""
    one = replace(weekly(given, MAIL), saved_at=NINE - timedelta(days=5))
    clock = Clock(NINE - timedelta(days=4))
    work = sender(given, one, settings(box), now=clock)
    work.tick()
    assert box.messages == []
    for moment in (NINE - timedelta(minutes=1), NINE, NINE + timedelta(days=1)):
        clock.moment = moment
        work.tick()
    assert [run.period[:10] for run in work.runs(one)] == ["2026-11-16"]
    clock.moment = NINE + timedelta(days=7)
    work.tick()
    assert len({str(message["Message-ID"]) for message in box.messages}) == 2


def test_a_report_of_a_file_is_sent_from_its_next_time_on(given: Given, box: Mailbox) -> None:
    """What was due before the server saw it is not made up for; after a restart it is known."""
    one = weekly(given, MAIL, schedule="* * * * *", period="24h")
    one = Report(one.definition, one.tenant, texts=False, file="weekly.yaml")
    clock = Clock(datetime.now(UTC))
    sender(given, one, settings(box), now=clock).tick()
    assert box.messages == []
    clock.moment += timedelta(minutes=2)
    sender(given, one, settings(box), now=clock).tick()
    assert len(box.messages) == 1


def test_what_crashed_on_the_way_is_unknown_and_not_sent_again(
    given: Given, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is in the store before anything leaves; who starts next shows and leaves it."""
    one = weekly(given, MAIL)
    crashing = sender(given, one, settings(box))
    monkeypatch.setattr(Claims, "settle", lambda *_: None)  # the power goes before it is told
    crashing.tick()
    monkeypatch.undo()
    assert states(crashing, one) == ["claimed"]
    after = sender(given, one, settings(box))
    after.tick()
    [run] = after.runs(one)
    assert run.state == ("unknown" if given.store.url.path else "claimed")
    assert len(box.messages) == 1


def test_of_two_servers_one_sends(given: Given, box: Mailbox) -> None:
    """Both look at the same moments; whoever claims first, and saw it in time, sends."""
    one = weekly(given, MAIL)
    both = [sender(given, one, settings(box), grace=2) for _ in range(2)]
    start = threading.Barrier(2)

    def look(work: Sender) -> None:
        start.wait()
        # On a machine that is too busy to see a claim in time both withdraw, and look again.
        until(lambda: work._send_due(one) or "sent" in states(work, one))  # type: ignore[func-returns-value]

    threads = [threading.Thread(target=look, args=(work,)) for work in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(box.messages) == 1
    assert states(both[0], one) == ["sent"]


SERVER = """
import sys
from datetime import UTC, datetime
from otel_chat.server.app import serve
from otel_chat.server.report.definition import read_definition
from otel_chat.server.report.keeping import Report, Shelf
from otel_chat.server.settings import ServerSettings
from otel_chat.server.store import open_store

known = ServerSettings(port=0)
store = open_store(known.store)
store.migrate()
for name in ("A monthly", sys.argv[1]):
    definition = {"name": name, "period": "month", "schedule": "* * * * *"}
    mail = {"kind": "email", "to": ["boss@example.com"], "attach": []}
    one = read_definition({**definition, "sections": ["headline"], "recipients": [mail]})
    kept = Report(one, "*", False, datetime(2026, 1, 1, tzinfo=UTC))
    Shelf(store, None)._write(kept, dropped=False)
store.close()
serve(known)
"""


def test_a_server_that_starts_three_times_sends_once(tmp_path: Path, box: Mailbox) -> None:
    """Stopped once and killed once; another report tells that each has looked."""
    known = {"STORE": f"chdb:{tmp_path / 'store'}", "SMTP_HOST": "127.0.0.1", "SMTP_TLS": "none"}
    known |= {"SMTP_PORT": str(box.port), "SMTP_FROM": "reports@chat.example"}
    environment = {**os.environ, **{f"OTEL_CHAT_SERVER_{name}": known[name] for name in known}}
    for name in ("Stop", "Kill", "Last"):
        process = subprocess.Popen([sys.executable, "-c", SERVER, name], env=environment)
        try:
            until(
                lambda name=name, process=process: (  # type: ignore[misc]
                    process.poll() is not None or any(name in one for one in box.subjects)
                ),
                timeout=200,
            )
            assert process.poll() is None
        finally:
            (process.terminate if name == "Stop" else process.kill)()
            process.wait(60)
    names = sorted(subject.partition(":")[0] for subject in box.subjects)
    assert names == ["A monthly", "Kill", "Last", "Stop"]


def test_sending_now_is_asked_over_the_api(client: TestClient, given: Given) -> None:
    """With the scope that takes data out; without an SMTP server it says what to set."""
    made = client.app.state.access.tokens.create  # type: ignore[attr-defined]

    def bearer(*scopes: str) -> dict[str, str]:
        token = made("t", scopes=scopes, tenants=[given.tenant]).token
        return {"authorization": f"Bearer {token}"}

    mine = bearer("analytics:view", "export:create")
    place = "/api/v1/reports/Now"
    client.put(place, json={"sections": ["headline"]}, headers=mine)
    nobody = client.post(f"{place}/send", headers=mine)
    assert (nobody.status_code, nobody.json()["error"]["field"]) == (422, "recipients")
    client.put(place, json={"sections": ["headline"], "recipients": [MAIL]}, headers=mine)
    assert client.post(f"{place}/send", headers=bearer("analytics:view")).status_code == 403
    [run] = client.post(f"{place}/send", headers=mine).json()["items"]
    assert run["state"] == "failed"
    assert run["detail"] == "Set OTEL_CHAT_SERVER_SMTP_HOST and OTEL_CHAT_SERVER_SMTP_FROM."
    assert client.get(f"{place}/runs", headers=mine).json()["items"] == [run]
