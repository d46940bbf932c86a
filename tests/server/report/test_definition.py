"""Definitions of reports: what they say, what is refused and how, and where they are kept."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_chat.errors import ConfigurationError
from otel_chat.server.access import EVERY_TENANT, OPEN, PERMISSIONS, Scope
from otel_chat.server.report import template
from otel_chat.server.report.definition import ReportDefinition, read_definition
from otel_chat.server.report.keeping import Shelf, parse, read_file
from tests.server.given import Given

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from otel_chat.server.store import Store


def utc(*numbers: int) -> datetime:
    return datetime(*numbers, tzinfo=UTC)  # type: ignore[misc, arg-type]


def shown(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "r: a report has fields, at least its name."),
        ({}, "r: name: is missing."),
        ({"name": "x", "scedule": "1"}, "r: scedule: there is no field 'scedule': did you mean 's"),
        ({"name": "x\ty"}, None),
        ({"name": "a/b"}, "r: name: a name has no slash: it stands in addresses."),
        ({"name": "x", "schedule": "0 9 * *"}, "r: schedule: a schedule has minute, hour, day,"),
        ({"name": "x", "schedule": "0 0 31 2 *"}, "r: schedule: a schedule has minute, hour,"),
        ({"name": "x", "timezone": "Mars"}, "r: timezone: A time zone is named as in Europe/B"),
        ({"name": "x", "period": "year"}, "r: period: must be day, week, month"),
        ({"name": "x", "filters": {"agnt": "a"}}, "r: filters: there is no filter 'agnt': did yo"),
        (
            {"name": "x", "filters": {"outcome": "won"}},
            "r: filters: outcome is one of resolved, handed",
        ),
        (
            {"name": "x", "filters": {"confidence_min": 2}},
            "r: filters: confidence_min is a number from 0",
        ),
        ({"name": "x", "sections": ["headlin"]}, "r: sections.0: must be one of"),
        ({"name": "x", "sections": []}, "r: sections: must not be empty."),
        ({"name": "x", "template": "{% if %}"}, "r: template: line 1: Expected an expression"),
        (
            {"name": "x", "recipients": [{"kind": "email", "to": ["me"]}]},
            "r: recipients.0.email.to.0: must be an e-mail address, as name@example.com, not 'me'.",
        ),
        (
            {"name": "x", "recipients": [{"kind": "folder", "path": "../etc"}]},
            "r: recipients.0.folder.path: a folder is named inside of the server's",
        ),
        (
            {"name": "x", "recipients": [{"kind": "slack", "url": "https://x"}]},
            "r: recipients.0.slack.secret: is missing.",
        ),
    ],
)
def test_what_is_wrong_is_told_with_the_field_and_the_fix(given: Any, words: str | None) -> None:
    """One line: where it stands, which field, what is allowed; white space alone is tidied."""
    if words is None:
        assert read_definition(given, "r").name == "x y"
        return
    with pytest.raises(ConfigurationError) as raised:
        read_definition(given, "r")
    told = str(raised.value)
    assert told.startswith(words), told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("period", "made", "start", "end"),
    [
        ("day", utc(2026, 11, 23, 8), "2026-11-21 23:00", "2026-11-22 23:00"),
        ("week", utc(2026, 11, 23, 8), "2026-11-15 23:00", "2026-11-22 23:00"),
        ("week", utc(2026, 11, 22, 22, 59), "2026-11-08 23:00", "2026-11-15 23:00"),
        ("month", utc(2026, 11, 1), "2026-09-30 22:00", "2026-10-31 23:00"),
        ("7d", utc(2026, 11, 23, 8), "2026-11-16 08:00", "2026-11-23 08:00"),
    ],
)
def test_a_period_is_the_last_full_one_of_its_zone(
    period: str, made: datetime, start: str, end: str
) -> None:
    """By the calendar of the time zone, over the change of its clocks; a window ends when made."""
    definition = read_definition({"name": "x", "period": period, "timezone": "Europe/Berlin"})
    assert tuple(map(shown, definition.span(made))) == (start, end)


def test_a_schedule_goes_by_the_clock_of_its_zone() -> None:
    """Nine stays nine; an hour left out is made up for, one that comes twice counts once."""
    weekly = ReportDefinition(name="x", schedule="0 9 * * 1", timezone="Europe/Berlin")
    assert shown(weekly.following(utc(2026, 10, 20))) == "2026-10-26 08:00"
    assert shown(weekly.following(utc(2026, 10, 13))) == "2026-10-19 07:00"
    assert shown(weekly.due(utc(2026, 10, 26, 8))) == "2026-10-26 08:00"
    assert shown(weekly.due(utc(2026, 10, 26, 7, 59))) == "2026-10-19 07:00"
    nightly = ReportDefinition(name="x", schedule="30 2 * * *", timezone="Europe/Berlin")
    assert shown(nightly.following(utc(2026, 3, 28, 12))) == "2026-03-29 01:00"
    first = nightly.following(utc(2026, 10, 24, 12))
    assert shown(first) == "2026-10-25 00:30"
    assert first is not None
    assert shown(nightly.following(first)) == "2026-10-26 01:30"
    assert ReportDefinition(name="x").due(utc(2026, 1, 1)) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ worse.__class__ }}", "access to attribute '__class__'"),
        ("{{ worse.append(1) }}", "access to attribute 'append'"),
        ("{{ 'x' * 99999999 }}", "Mul is not taken here"),
        ("{{ 9 ** 99999999 }}", "Pow is not taken here"),
        ("{% set a = [a, a] %}", "List is not taken here"),
        ("{% set a %}{{ a }}{% endset %}", "AssignBlock is not taken here"),
        ("{% macro a() %}{% endmacro %}", "Macro is not taken here"),
        ("{{ 'a' ~ 'a' }}", "Concat is not taken here"),
        ("{{ 'a' + 'a' }}", "+ is for numbers here"),
        ("{{ '%9999999d' % 1 }}", "% is for numbers here"),
        ("{{ '{:>9999999}'.format(1) }}", "access to attribute 'format'"),
        ("{{ 'a'|replace('a', 'aa') }}", "no filter 'replace'; known: abs, "),
        ("{{ worse }}", "a list is not written: write its parts"),
        ("{% for a in range(99999) %}{% endfor %}", "a range has at most 1000 numbers"),
        ("{% for a in range(999) %}{% for b in range(999) %}xy{% endfor %}{% endfor %}", "writes"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{% include 'x' %}", "Include is not taken here"),
        ("{{ 1 / 0 }}", "division by zero"),
    ],
)
def test_a_template_reaches_nothing_and_takes_little(text: str, words: str) -> None:
    """What would leave the sandbox, or fill memory or time, is refused in words."""
    with pytest.raises(ConfigurationError, match=r"^template: ") as raised:
        template.render(text, {"worse": [1]}, str)
    assert words in str(raised.value)


def test_a_template_that_goes_on_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops in loops that write nothing are ended by the clock."""
    monkeypatch.setattr(template, "SECONDS", 0.05)
    loops = "{% for a in range(999) %}" * 4 + "{% endfor %}" * 4
    with pytest.raises(ConfigurationError, match=r"it takes longer than 0\.05 s"):
        template.render(loops, {}, str)


def test_yaml_makes_no_objects_and_nothing_much_out_of_little() -> None:
    """Only plain values; aliases are refused, as is what is no mapping."""
    for text, words in (
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: &x [1]\nb: [*x, *x]", r"aliases \(\*name\) are not read"),
        ("- 1", "a report has fields"),
        ("a: [", "while parsing"),
    ):
        with pytest.raises(ConfigurationError, match=words) as raised:
            parse(text, "f.yaml")
        assert len(str(raised.value).splitlines()) == 1


def folder_with(path: Path, **files: str) -> Path:
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / f"{name}.yaml").write_text(text)
    return path


def test_files_provide_reports(store: Store, tmp_path: Path) -> None:
    """Each file one; a wrong one is named and costs no other; they cannot be changed here."""
    folder = folder_with(
        tmp_path,
        good="name: Good\ntenant: acme\ntexts: true\nrecipients: [{kind: slack, secret: a}]",
        again="name: Good\ntenant: acme",
        all="name: All",
        wrong="name: [",
        odd="name: x\ntenant: 1",
    )
    shelf = Shelf(store, folder)
    found, wrong = shelf.provisioned()
    assert [(one.definition.name, one.tenant, one.file) for one in found] == [
        ("Good", "acme", "again.yaml"),
        ("All", EVERY_TENANT, "all.yaml"),
    ]
    assert [line.split(":")[0] for line in wrong] == ["good.yaml", "odd.yaml", "wrong.yaml"]
    acme = Scope(frozenset({"acme"}), frozenset(PERMISSIONS))
    assert [one.definition.name for one in shelf.reports(acme)] == ["Good"]
    assert read_file(folder / "good.yaml").scope.permissions == {
        "analytics:view", "conversations:read",
    }  # fmt: skip
    for change in (
        lambda: shelf.save(acme, ReportDefinition(name="Good")),
        lambda: shelf.drop(acme, "Good"),
    ):
        with pytest.raises(Exception, match=r"The file again.yaml provides this report"):
            change()


def test_reports_are_kept_changed_and_forgotten(client: TestClient, given: Given) -> None:
    """Under their name, in place of the one before; another tenant sees nothing of them."""
    other = Given(given.store)
    made = client.app.state.access.tokens.create  # type: ignore[attr-defined]

    def bearer(*tenants: str, scopes: tuple[str, ...] = PERMISSIONS) -> dict[str, str]:
        return {"authorization": f"Bearer {made('t', scopes=scopes, tenants=tenants).token}"}

    mine, theirs = bearer(given.tenant), bearer(other.tenant)
    place = "/api/v1/reports/My%20week"
    saved = client.put(place, json={"period": "day"}, headers=mine)
    assert saved.status_code == 200
    assert saved.json()["tenant"] == given.tenant
    client.put(place, json={"period": "month", "schedule": "0 9 1 * *"}, headers=mine)
    [kept] = client.get("/api/v1/reports", headers=mine).json()["items"]
    assert (kept["name"], kept["definition"]["period"], kept["texts"]) == (
        "My week", "month", True,
    )  # fmt: skip
    assert kept["next_at"] is not None
    assert client.get("/api/v1/reports", headers=theirs).json()["items"] == []
    for method in ("GET", "DELETE"):
        assert client.request(method, place, headers=theirs).status_code == 404
    elsewhere = client.put(place, params={"tenant": other.tenant}, json={}, headers=mine)
    assert elsewhere.status_code == 403
    blind = bearer(given.tenant, scopes=("analytics:view", "export:create"))
    assert client.put(place, json={}, headers=blind).json()["texts"] is False
    viewer = bearer(given.tenant, scopes=("analytics:view",))
    assert client.put(place, json={}, headers=viewer).status_code == 403
    assert client.delete(place, headers=mine).json()["name"] == "My week"
    assert client.get(place, headers=mine).status_code == 404


def test_who_sees_every_tenant_keeps_reports_of_all_of_them(client: TestClient) -> None:
    """Unless one is named; a token of one tenant does not see them."""
    shelf: Shelf = client.app.state.shelf  # type: ignore[attr-defined]
    assert shelf.save(OPEN, ReportDefinition(name="Everything")).tenant == EVERY_TENANT
    assert shelf.save(OPEN, ReportDefinition(name="One"), "acme-2").tenant == "acme-2"
    acme = Scope(frozenset({"acme-2"}), frozenset(PERMISSIONS))
    assert [one.definition.name for one in shelf.reports(acme)] == ["One"]
    for name in ("Everything", "One"):
        shelf.drop(OPEN, name)


def test_a_text_is_checked_and_nothing_kept(client: TestClient) -> None:
    """All that it leaves out is told; what is wrong is told with its field."""
    before = client.get("/api/v1/reports").json()["items"]
    right = client.post("/api/v1/reports", json={"text": "name: W\ntenant: a\nperiod: day"})
    assert right.json()["period"] == "day"
    assert right.json()["sections"][0]["kind"] == "headline"
    wrong = client.post("/api/v1/reports", json={"text": "name: W\nperiod: year"})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (422, "period")
    assert client.post("/api/v1/reports", json={"text": "["}).json()["error"]["field"] == "text"
    assert client.get("/api/v1/reports").json()["items"] == before
