"""With a token of one tenant everything there is to ask is tried for anything of another."""

from __future__ import annotations

import io
import json
import re
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pypdf import PdfReader

from otel_chat import semconv
from otel_chat.server.app import create_app
from otel_chat.server.figures.fields import PARAMETERS
from otel_chat.server.settings import ServerSettings
from tests.server.given import Given
from tests.server.served import FROM_TO
from tests.server.test_access import fill

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastapi import FastAPI

    from otel_chat.server.store import Store

THEIRS = "of-another-tenant"
NOBODYS = "of-nobody-at-all-"  # as long, and in no store
VIEWER = {"analytics:view"}
READER = {"analytics:view", "conversations:read", "export:create", "metrics:read"}
API = ("/api/", "/v1/", "/admin/")
BASE = "http://127.0.0.1:8400"
KINDS = ("message", "lead", "action", "custom", "handoff.requested")
TABLES = ("turns", "events", "spans")

# The filters are one dependency of all routes: all of them are tried where they are used in
# different ways, one after the other elsewhere, and everywhere what a route takes beside them.
EVERYWHERE = ("agent", "conversation_id", "where", "segment", "segment_not")
FILTERS = {*PARAMETERS, *EVERYWHERE, "by"}
THOROUGH = {
    "/api/v1/overview",
    "/api/v1/conversations",
    "/api/v1/interactions",
    "/api/v1/exports/events",
}
OF_LISTS = {"search", "tag", "cursor"}
# What says when it was asked, and differs with each question.
MOMENTS = re.compile(r',?"timestamp": ?"[^"]+"|id: \S+T\S+|data-at="[^"]*"|\d+\s\w+ ago')


def application(store: Store) -> FastAPI:
    return create_app(store, ServerSettings())


# What there is to ask, out of the API's own description and the application's routes


@dataclass(frozen=True)
class Reading:
    """A route that is read, and the parameters that it takes: name and what is known of it."""

    path: str
    parameters: dict[str, dict[str, Any]]

    @property
    def tried(self) -> dict[str, dict[str, Any]]:
        """The parameters to try on this route."""
        turn = EVERYWHERE[zlib.crc32(self.path.encode()) % len(EVERYWHERE)]
        skipped = set() if self.path in THOROUGH else FILTERS - {turn}
        return {
            name: kind
            for name, kind in self.parameters.items()
            if name not in skipped and (self.path.startswith(API) or self.takes(name, kind))
        }

    def takes(self, name: str, kind: dict[str, Any]) -> bool:
        """Whether a page makes anything of a parameter that the API was not asked with."""
        return not choices(kind) and (name not in OF_LISTS or self.path == "/conversations")

    def __str__(self) -> str:
        return self.path


def readings() -> list[Reading]:
    """Every GET of the API as described, and every page with the parameters of a list."""
    app = application(cast("Store", SimpleNamespace()))
    described = []
    for path, operations in app.openapi()["paths"].items():
        if "get" in operations:
            taken = operations["get"].get("parameters", [])
            named = {one["name"]: one["schema"] for one in taken if one["in"] == "query"}
            described.append(Reading(path, named))
    of_lists = next(one for one in described if one.path == "/api/v1/conversations").parameters
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    # Another address of what is described: asked at that one with every parameter.
    twice = {route.endpoint for route in routes if route.include_in_schema}
    pages = [
        Reading(
            re.sub(r"{(\w+):\w+}", r"{\1}", route.path),
            {} if route.endpoint in twice else of_lists,
        )
        for route in routes
        if not route.include_in_schema
        and "GET" in route.methods
        and not route.path.startswith(("/v1/", "/static/"))
    ]
    return described + pages


READINGS = readings()
# A page takes whatever stands in its address; the API refuses what it does not know.
KNOWN = {one.path: one.parameters if one.path.startswith(API) else None for one in READINGS}
# Their figures are of the last minutes: other ones when they are asked again.
OF_THE_MOMENT = (
    "/live",
    "/admin/chat-analytics/api",
    "/api/v1/unanswered/{trace_id}/effect",
)


def choices(kind: dict[str, Any]) -> list[Any]:
    """The values that a parameter has a fixed list of."""
    kinds = [kind, *kind.get("anyOf", []), kind.get("items", {})]
    fixed = [value for one in kinds for value in one.get("enum", [])]
    truths = [True, False] if any(one.get("type") == "boolean" for one in kinds) else []
    return fixed + truths


def is_text(kind: dict[str, Any]) -> bool:
    kinds = [kind, *kind.get("anyOf", []), kind.get("items", {})]
    return any(
        one.get("type") == "string" and "enum" not in one and "format" not in one for one in kinds
    )


def texts_of(reading: Reading, name: str, marker: str) -> Sequence[str]:
    """What of a tenant a parameter could be set to; all of it where filters are used in full."""
    special: dict[str, Sequence[str]] = {
        "step": [f"intent:intent-{marker}", f"workflow:flow-{marker}", f"topic:topic-{marker}"],
        "conversation_id": [f"only-{marker}", f"conversation_id-{marker}"],
        "tenant": [f"tenant-{marker}"],
        "name": [f"name-{marker}", f"event_name-{marker}"],
        "search": [marker, f"text-{marker}"],
        "segment": [f"name-{marker}"],
        "segment_not": [f"name-{marker}"],
        "where": [f"intent = intent-{marker} or not topic = topic-{marker}"],
    }
    nothing = dict.fromkeys(("timezone", "cursor", "from", "to", "start_date", "end_date"), ())
    texts = (special | nothing).get(name, (f"{name}-{marker}", f"{name}-all-{marker}"))
    return texts if reading.path in THOROUGH or name not in EVERYWHERE else texts[:1]


# What there is of both


def pour(given: Given, marker: str) -> dict[str, str]:
    """A bit of everything, and in each table a row of which every text has the marker."""
    ids = fill(given, marker)
    given.rows.clear()
    for table in TABLES:
        columns = given.store.query(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase()"
            " AND table = {table:String}",
            {"table": table},
        )
        texts: dict[str, Any] = {
            column["name"]: f"{column['name']}-all-{marker}"
            for column in columns
            if column["type"] in {"String", "LowCardinality(String)"}
            and column["name"] not in {"tenant", "parent_span_id", "trace_id", "span_id", "uid"}
        }
        texts["attributes"] = {f"key-{marker}": f"value-{marker}"}
        if table == "turns":
            said = f'[{{"role": "user", "parts": [{{"type": "text", "content": "{marker}"}}]}}]'
            given.turn(**(texts | {"input_messages": said, "output_messages": said}))
        elif table == "events":
            del texts["name"]
            for name in (*KINDS, semconv.EVENT_EVALUATION, semconv.EVENT_EVALUATION):
                given.event(name, **(texts | {"data": f'{{"x": "{marker}"}}'}))
        else:
            given.span(ids["trace_id"], ids["interaction_id"][-16:], **texts)
    # Both have it: only the tenant tells the two apart.
    given.turn("conversation_id-all", agent=f"agent-{marker}")
    for number in (1, 2):
        given.turn(f"left-{number}-{marker}", fallback=True)
    given.save()
    return ids


@dataclass(frozen=True)
class World:
    """Two tenants, and what the one was answered before the other had anything."""

    app: FastAPI
    mine: Given
    other: Given
    my_ids: dict[str, str]
    other_ids: dict[str, str]
    tokens: dict[str, str]
    before: dict[tuple[str, str, str], tuple[int, str]]

    def ask(self, who: str, path: str, ids: dict[str, str], **params: Any) -> tuple[int, str]:
        """What is answered: the status, and the text, out of whatever it is packed in."""
        known = KNOWN[path]
        for name in re.findall(r"{(\w+)}", path):
            path = path.replace(f"{{{name}}}", ids.get(name, "none"))
        if path.endswith("/stream"):
            params = {"events": 1} | params
        if "format" in (known or {}) and params and not {"format", "bom"} & set(params):
            params = {"format": "jsonl"} | params  # the same rows, planned in a third of the time
        client = TestClient(self.app, base_url=BASE, follow_redirects=False)
        answer = client.get(
            path,
            params={
                name: value
                for name, value in (FROM_TO | params).items()
                if known is None or name in known
            },
            headers={"authorization": f"Bearer {self.tokens[who]}", "accept": "*/*"},
        )
        seen = "".join(f"{name}: {value}\n" for name, value in tells(answer.headers).items())
        return answer.status_code, MOMENTS.sub("", seen + unpacked(self.mine.store, answer.content))


def tells(headers: Any) -> dict[str, str]:
    """The headers that could tell something."""
    return {name: headers[name] for name in ("location", "content-disposition") if name in headers}


def unpacked(store: Store, content: bytes) -> str:
    """The text of an answer: of each file of an archive, of the rows of a Parquet file."""
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return "\n".join(
                f"{name}\n{unpacked(store, archive.read(name))}" for name in archive.namelist()
            )
    if content.startswith(b"PAR1"):
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            file.write(content)
            file.flush()
            return repr(store.query(f"SELECT * FROM file('{file.name}')"))
    if content.startswith(b"%PDF"):
        return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)
    return content.decode()


def plain_questions(readings: list[Reading]) -> Iterator[tuple[Reading, dict[str, Any]]]:
    """Every route as it is, and with each value of each parameter that has a fixed list."""
    for reading in readings:
        yield reading, {}
        for name, kind in reading.tried.items():
            if name != "window":  # beside `from` and `to` it is an error
                yield from ((reading, {name: value}) for value in choices(kind))


def asking(reading: Reading, params: dict[str, Any]) -> tuple[str, ...]:
    """Who asks: with parameters, and of pages, whoever may see more; of the API both."""
    plain = reading.path.startswith("/api/") and not params
    return ("viewer", "reader") if plain else ("reader",)


@pytest.fixture(scope="module")
def world(store: Store) -> Iterator[World]:
    store.command("TRUNCATE TABLE tokens")
    app = application(store)
    mine, other = Given(store, "tenant-mine"), Given(store, f"tenant-{THEIRS}")
    made = app.state.access.tokens.create
    tokens = {
        "viewer": made("viewer", scopes=VIEWER, tenants=[mine.tenant]).token,
        "reader": made("reader", scopes=READER, tenants=[mine.tenant]).token,
        "theirs": made("theirs", scopes=READER, tenants=[other.tenant]).token,
    }
    built = World(app, mine, other, pour(mine, "mine"), {}, tokens, {})
    for reading, params in plain_questions(READINGS):
        for who in asking(reading, params):
            answer = built.ask(who, reading.path, built.my_ids, **params)
            built.before[who, reading.path, repr(params)] = answer
    built.other_ids.update(pour(other, THEIRS))
    yield built
    store.command("TRUNCATE TABLE tokens")


every_reading = pytest.mark.parametrize("reading", READINGS, ids=str)


@every_reading
def test_what_another_tenant_has_changes_no_answer(world: World, reading: Reading) -> None:
    """Texts and counts are those of before: plain, and with each value of each fixed list."""
    for _, params in plain_questions([reading]):
        for who in asking(reading, params):
            status, text = world.ask(who, reading.path, world.my_ids, **params)
            if not reading.path.startswith(OF_THE_MOMENT):
                assert (status, text) == world.before[who, reading.path, repr(params)], params
            assert THEIRS not in text
            assert status < 500


@every_reading
def test_what_another_tenant_calls_things_finds_nothing(world: World, reading: Reading) -> None:
    """Each text parameter set to its values answers as it does for what nobody has."""
    for name, kind in reading.tried.items():
        if not is_text(kind):
            continue
        for value in texts_of(reading, name, THEIRS):
            unknown = value.replace(THEIRS, NOBODYS)
            status, text = world.ask("reader", reading.path, world.my_ids, **{name: value})
            nobodys = world.ask("reader", reading.path, world.my_ids, **{name: unknown})
            if not reading.path.startswith(OF_THE_MOMENT):
                assert (status, text.replace(THEIRS, NOBODYS)) == nobodys, (name, value)
            assert status == nobodys[0]
            assert status < 500


IDS = re.compile("{(conversation_id|session_id|trace_id|interaction_id)}")


@pytest.mark.parametrize("reading", [one for one in READINGS if IDS.search(one.path)], ids=str)
def test_another_tenants_ids_lead_nowhere(world: World, reading: Reading) -> None:
    """404, in the words for an id that nobody has; naming the tenant makes no difference."""
    asked = world.other_ids | dict.fromkeys(("conversation_id", "session_id"), f"only-{THEIRS}")
    nobodys = {
        "conversation_id": f"only-{NOBODYS}",
        "trace_id": "f" * 32,
        "interaction_id": f"{'f' * 32}-{'f' * 16}",
    }
    for params in ({}, {"tenant": world.other.tenant}):
        for who in ("viewer", "reader"):
            status, text = world.ask(who, reading.path, asked, **params)
            unknown, same = world.ask(who, reading.path, nobodys, **params)
            may = who == "reader" or not reading.path.startswith("/api/v1/unanswered/")
            assert status == unknown == (404 if may else 403)
            for name, value in nobodys.items():
                text = text.replace(asked[name], value)
            assert text == same


# What is read of one conversation is looked for by an id: those are another test's.
PAGED = [
    one
    for one in READINGS
    if "cursor" in one.parameters and one.path.startswith("/api/") and "{" not in one.path
]


def listed(answer: str) -> list[Any]:
    """The list of a page, whatever it is called."""
    return next(value for value in json.loads(answer).values() if isinstance(value, list))


@pytest.mark.parametrize("reading", PAGED, ids=str)
def test_another_tenants_cursor_leads_to_ones_own(world: World, reading: Reading) -> None:
    """A cursor is a place in the order of time, and opens nothing."""
    all_of_it = {"days": 366} if "days" in reading.parameters else {}
    _, page = world.ask("theirs", reading.path, {}, limit=1, **all_of_it)
    cursor = json.loads(page)["next_cursor"]
    assert cursor is not None
    status, text = world.ask("reader", reading.path, {}, cursor=cursor)
    assert status == 200
    assert THEIRS not in text
    _, mine = world.ask("reader", reading.path, {})
    known = listed(mine)
    assert all(item in known for item in listed(text))


def test_the_other_tenant_sees_what_is_looked_for(world: World) -> None:
    """With its own token the same questions show the marker: these tests can fail."""
    shown = {
        reading.path
        for reading in READINGS
        if THEIRS in world.ask("theirs", reading.path, world.other_ids)[1]
    }
    assert len(shown) > len(READINGS) / 2  # others have figures only


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_each_export_holds_ones_own_rows_in_every_format(world: World, form: str) -> None:
    """The marker is in each of the other's, packed or not, and in none of one's own."""
    exports = [one.path for one in READINGS if "/exports/" in one.path]
    exports.remove("/api/v1/exports/scheduled")  # says which files of all tenants there are
    assert len(exports) >= 6
    for path in exports:
        status, text = world.ask("reader", path, {}, format=form)
        assert (status, THEIRS in text, "mine" in text) == (200, False, True), path
        assert THEIRS in world.ask("theirs", path, {}, format=form)[1]
