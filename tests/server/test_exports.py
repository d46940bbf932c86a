"""Exports: their columns, formats, filters, texts, and what happens when one breaks off."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given as generated
from hypothesis import strategies

from otel_chat.server.access import OPEN, Scope
from otel_chat.server.figures import cells, content
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.sql import Query
from otel_chat.server.questions import exports
from otel_chat.server.questions.conversations import conversations
from otel_chat.server.questions.interactions import interaction_statistics
from otel_chat.server.questions.overview import overview
from tests import web
from tests.examples import examples
from tests.server.given import DAY, Given, at
from tests.server.served import FROM_TO

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi.testclient import TestClient

    from otel_chat.server.store import Store
    from tests.server.served import BreakOff

KINDS: dict[str, Callable[..., Any]] = {
    "sessions": exports.export_sessions,
    "messages": exports.export_messages,
    "analytics": exports.export_analytics,
    "interactions": exports.export_interactions,
    "events": exports.export_events,
}
HELLO = '[{"role": "user", "parts": [{"type": "text", "content": "Hello"}]}]'
WELCOME = '[{"role": "assistant", "parts": [{"type": "text", "content": "Welcome"}]}]'


def export(given: Given, kind: str, form: str = "jsonl", **more: Any) -> bytes:
    """An export as a whole."""
    filters = more.pop("filters", Filters())
    window = more.pop("window", DAY)
    return b"".join(
        KINDS[kind](given.store, more.pop("scope", given.scope), window, filters, form, **more)
    )


def lines(given: Given, kind: str, **more: Any) -> list[dict[str, Any]]:
    """An export as JSON lines, read."""
    return [json.loads(line) for line in export(given, kind, **more).splitlines()]


def table(given: Given, kind: str, **more: Any) -> list[dict[str, str]]:
    """An export as CSV, read."""
    return list(csv.DictReader(io.StringIO(export(given, kind, "csv", **more).decode())))


@pytest.fixture
def talked(given: Given) -> Given:
    """A rated conversation of two turns, an event each; then one that failed; one still open."""
    given.turn("a", 0, 2, user_hash="u1", user_type="client", intent="greet", cost="0.25",
               response_model="m", input_tokens=10, output_tokens=5, cached=True,
               page="/cart", http_status=200, input_messages=HELLO, output_messages=WELCOME,
               metadata='{"k": 1}')  # fmt: skip
    given.turn("a", 10, 4, user_hash="u1", user_type="client", handoff=True, handoff_reason="r")
    given.event("message", "a", 20, sender="human", text="I am here", user_hash="u1")
    given.event("lead", "a", 4, lead_kind="call", page="/help")
    given.event("topic", "a", 1, topic="orders")
    given.event("topic", "a", 2, topic="billing")
    given.event("topic", "a", 3, topic="orders")
    given.event("action", "a", 21, action="link_click")
    given.feedback(4, "a", 30)
    given.turn("b", 100, status="error", error_type="Timeout", user_type="provider")
    given.turn("open", 5000, user_type="client")
    given.save()
    return given


NOW = replace(DAY, now=at(5400))


def test_sessions_have_the_figures_of_whole_conversations(talked: Given) -> None:
    """2 turns, 2 replies and a human's message are 5 messages; 2 s and 4 s make 3 s.

    Rating 4 of 1 to 5 is 0.75; two turns and an action make 40 x 0.2 + 20 / 3, and a handoff 20.
    """
    first, failed, still = lines(talked, "sessions", window=NOW)
    assert first == {
        "conversation_id": "a", "tenant": talked.tenant, "user_hash": "u1",
        "user_type": "client", "agent": "", "agent_version": "", "variant": "", "channel": "",
        "platform": "", "location": "", "state": "settled",
        "started_at": "2026-11-10T12:00:00.000000000Z",
        "last_at": "2026-11-10T12:00:20.000000000Z",
        "closed_at": "2026-11-10T12:00:20.000000000Z",
        "duration": 20, "turns": 2, "messages": 5, "user_messages": 2, "assistant_messages": 2,
        "system_messages": 0, "human_messages": 1, "mean_response_time": 3,
        "satisfaction": 0.75, "rating": 4, "outcome": "handed_off", "confirmed": False,
        "resolved": False, "handoff": True, "end_reason": "", "topics": ["billing", "orders"],
        "intents": ["greet"], "models": ["m"], "input_tokens": 10, "output_tokens": 5,
        "cost": "0.25", "errors": 0, "fallbacks": 0,
        "engagement_score": pytest.approx(8 + 20 / 3 + 20),
        "device": "", "os": "", "browser": "", "referrer": "", "page": "/cart",
        "pages": ["/cart", "/help"], "converted": True, "lead_kinds": ["call"],
        "last_sentiment": "", "entities": [], "routes": [], "statuses": [200],
    }  # fmt: skip
    assert (failed["outcome"], failed["resolved"], failed["topics"]) == ("failed", False, [])
    assert (failed["assistant_messages"], failed["satisfaction"]) == (0, None)
    assert (still["state"], still["closed_at"], still["resolved"]) == ("open", None, None)


def test_messages_are_of_all_senders_by_time(talked: Given) -> None:
    """The user's at a turn's start, the reply at its end; a failed turn has no reply."""
    found = lines(talked, "messages", filters=Filters(conversation_id="a"))
    assert [(m["sender"], m["content"], m["created_at"][11:19]) for m in found] == [
        ("user", "Hello", "12:00:00"),
        ("assistant", "Welcome", "12:00:02"),
        ("user", None, "12:00:10"),
        ("assistant", None, "12:00:14"),
        ("human", "I am here", "12:00:20"),
    ]
    assert [m["processing_time"] for m in found] == [None, 2, None, 4, None]
    assert [m["cached"] for m in found] == [None, True, None, None, None]
    assert [m["metadata"] for m in found] == ['{"k": 1}', None, None, None, None]
    assert len({m["message_id"] for m in found}) == 5
    assert [m["sender"] for m in lines(talked, "messages", filters=Filters(outcome="failed"))] == [
        "user"
    ]
    [human] = lines(talked, "messages", sender="human")
    assert human["content"] == "I am here"


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_messages_are_the_same_in_one_piece_and_in_many(
    given: Given, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Seven turns of a day in a piece, then in a piece each; replies reach into the next one."""
    for number in range(7):
        given.turn(f"c{number}", 9000 * number - 30_000, 9001, input_messages=HELLO)
    given.event("message", "c1", 100, sender="human", text="I am here")
    given.save()
    whole = export(given, "messages", form)
    monkeypatch.setattr(exports, "TURNS_OF_PIECE", 1)
    assert export(given, "messages", form) == whole
    assert whole.count(b"Hello") == 7


@pytest.mark.parametrize("kind", ["sessions", "analytics"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_conversations_are_the_same_in_one_piece_and_in_many(
    given: Given, monkeypatch: pytest.MonkeyPatch, kind: str, form: str
) -> None:
    """Six in a piece, then in a piece each; one goes on after days, and does not start anew."""
    for number in range(5):
        given.turn(f"c{number}", 9000 * number - 30_000)
    for days in (-3, -1, 0):
        given.turn("on and on", days * 86_400)
    given.save()
    window = replace(DAY, start=DAY.start - timedelta(days=3))
    whole = export(given, kind, form, window=window)
    monkeypatch.setattr(exports, "CONVERSATIONS_OF_PIECE", 1)
    assert export(given, kind, form, window=window) == whole
    assert whole.count(b"on and on") == 1


def test_analytics_can_be_limited_to_the_resolved(given: Given) -> None:
    """Resolved, not resolved, and neither while a conversation is open."""
    given.turn("good")
    given.event("action", "good", 1, action="view_service")
    given.turn("bad", fallback=True)
    given.turn("open", 5000)
    given.save()
    asked = {
        resolved: lines(given, "analytics", window=NOW, resolved=resolved)
        for resolved in (True, False, None)
    }
    assert [row["conversation_id"] for row in asked[True]] == ["good"]
    assert [row["conversation_id"] for row in asked[False]] == ["bad"]
    assert len(asked[None]) == 3
    assert (asked[True][0]["actions"], asked[True][0]["handoff"]) == (["view_service"], False)


def test_actions_keep_their_data(given: Given) -> None:
    """By time, in every format, for whoever may read; the names alone for others."""
    given.turn("a")
    given.event("action", "a", 2, action="service_view")
    given.event("action", "a", 1, action="link_click", data='{"url": "https://shop.example/x"}')
    given.event("action", "a", 3, action="cut", data='{"url": "htt')
    given.turn("none")
    given.save()
    taken = [
        {
            "type": name,
            "data": data,
            "timestamp": f"2026-11-10T12:00:0{second}.000000Z",
        }
        for second, name, data in (
            (1, "link_click", {"url": "https://shop.example/x"}),
            (2, "service_view", None),
            (3, "cut", '{"url": "htt'),
        )
    ]
    for rows in (lines(given, "analytics"), table(given, "analytics")):
        told = {row["conversation_id"]: row["actions_taken"] or "[]" for row in rows}
        assert {name: json.loads(text) for name, text in told.items()} == {"a": taken, "none": []}
    viewer = Scope(frozenset({given.tenant}), frozenset({"export:create"}))
    (row, _) = lines(given, "analytics", scope=viewer)
    assert (row["actions_taken"], len(row["actions"])) == (None, 3)


def test_interactions_are_turns_with_their_texts(talked: Given) -> None:
    """One row for each turn; `handoff` filters by the turn's own."""
    found = lines(talked, "interactions")
    assert [row["conversation_id"] for row in found] == ["a", "a", "b", "open"]
    assert (found[0]["user_message"], found[0]["reply"]) == ("Hello", "Welcome")
    assert (found[0]["cost"], found[0]["model"], found[0]["foreign"]) == ("0.25", "m", False)
    assert found[0]["interaction_id"] == f"{found[0]['trace_id']}-{found[0]['span_id']}"
    assert found[2]["error_type"] == "Timeout"
    [handed] = lines(talked, "interactions", filters=Filters(handoff=True))
    assert (handed["duration"], handed["handoff_reason"]) == (4, "r")


@pytest.mark.parametrize("kind", ["interactions", "events"])
def test_many_rows_come_by_hour_and_within_an_hour_by_conversation(given: Given, kind: str) -> None:
    """The order in which they lie in the store: two conversations of one hour, one of the next."""
    for conversation, seconds in (("b", 0), ("a", 10), ("b", 20), ("a", 3600)):
        given.turn(conversation, seconds)
        given.event("topic", conversation, seconds + 1, topic="t")
    given.save(shuffle=1)
    told = [row["conversation_id"] for row in lines(given, kind)]
    assert told == ["a", "b", "b", "a"]


def test_events_can_be_limited_to_a_name(talked: Given) -> None:
    """In order of time."""
    assert len(lines(talked, "events")) == 7
    found = lines(talked, "events", name="otel_chat.topic")
    assert [row["topic"] for row in found] == ["orders", "billing", "orders"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_formats_hold_the_same(talked: Given, kind: str) -> None:
    """CSV and Parquet have the columns and the rows of JSON Lines; Parquet with its types."""
    expected = lines(talked, kind)
    written = table(talked, kind)
    assert [list(row) for row in written] == [list(row) for row in expected]
    for row, other in zip(expected, written, strict=True):
        for name, value in row.items():
            text = json.dumps(value) if isinstance(value, bool) else value
            text = json.dumps(value, separators=(",", ":")) if isinstance(value, list) else text
            assert other[name] == ("" if text is None else str(text)), name
    parquet = export(talked, kind, "parquet")
    assert parquet[:4] == parquet[-4:] == b"PAR1"


def test_parquet_is_read_back_by_the_engine(talked: Given, tmp_path: Any) -> None:
    """Lists are lists, numbers numbers, missing ones null."""
    file = tmp_path / "sessions.parquet"
    file.write_bytes(export(talked, "sessions", "parquet"))
    rows = talked.store.query(
        f"SELECT conversation_id, topics, satisfaction, cost, resolved FROM file('{file}')"
        " ORDER BY started_at"
    )
    assert [row["topics"] for row in rows] == [["billing", "orders"], [], []]
    assert [row["satisfaction"] for row in rows] == [0.75, None, None]
    assert (str(rows[0]["cost"]), rows[0]["resolved"]) == ("0.250000000", False)


@pytest.mark.parametrize("kind", ["messages", "interactions", "events"])
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_without_the_right_to_read_text_it_is_left_out(given: Given, kind: str, form: str) -> None:
    """The columns stay, empty; with conversations:read they are filled."""
    given.turn(input_messages=HELLO.replace("Hello", "tellnobody"), metadata="tellnobody")
    given.event("message", text="tellnobody", data="tellnobody", attributes={"x": "tellnobody"})
    given.event("entity", entity_value="tellnobody", comment="tellnobody")
    given.save()
    blind = Scope(given.scope.tenants, frozenset({"export:create"}))
    kept = export(given, kind, form, scope=blind)
    assert b"tellnobody" not in kept
    assert b"tellnobody" in export(given, kind, form)
    if form == "csv":
        assert kept.splitlines()[0] == export(given, kind, form).splitlines()[0]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("\t=1", "'\t=1"),
        ("\n=1", "'\n'=1"),
        ("  =1", "'  =1"),
        ("\ufeff\u200b\xa0\uff1d1", "'\ufeff\u200b\xa0\uff1d1"),
        ("x;=1\r\n- y", "x;'=1\r\n'- y"),
    ],
)
def test_csv_holds_no_formula(given: Given, text: str, safe: str) -> None:
    """An apostrophe stands before it, wherever a caller's text may stand; JSON Lines is exact."""
    given.turn(text, user_hash=text, user_type=text, intent=text, metadata=text)
    given.event("message", text, text=text, sender=text)
    given.event("topic", text, topic=text, reason=text, attributes={text: text})
    given.save()
    for kind in KINDS:
        for row in table(given, kind):
            found = [v for v in row.values() if v.replace("'", "") == text]
            assert set(found) == {safe}
    [session] = lines(given, "sessions")
    assert session["conversation_id"] == text


UNSEEN = (
    "\x00\t\x0b \x7f\x85\xa0\xad\u034f\u061c\u115f\u180e\u200b\u200d\u2028\u2060\u2800\u3000"
    "\u3164\ufe0f\ufeff\U000e0001"
)
FORMULAS = "=+-@\uff1d\uff0b\uff0d\uff20"


@examples(25, 300)
@generated(
    strategies.lists(
        strategies.sampled_from([*UNSEEN, *FORMULAS, *";\r\n'\"ab,"]),
        max_size=8,
    ).map("".join)
)
def test_no_cell_begins_with_a_formula_however_it_is_taken_apart(store: Store, text: str) -> None:
    """At commas or at semicolons; and without the apostrophes it is the text that was given."""
    statement = Query(store, OPEN)
    bound = statement.bind(text, "String")
    safe = statement.one(f"SELECT {cells.guarded(bound)} AS safe")["safe"]
    for cell in (safe, *re.split(r"[;\r\n]", safe)):
        assert not cell.lstrip(UNSEEN).startswith(tuple(FORMULAS))
    assert not safe.startswith(tuple("\x00\t\r\n"))
    assert safe.replace("'", "") == text.replace("'", "")


@pytest.mark.parametrize(
    "text", ["x" * 32_767, "x" * 32_768, "😀" * 16_383, "😀" * 16_384, "e" + "😀é" * 30_000]
)
def test_a_cell_holds_what_a_spreadsheet_can(store: Store, text: str) -> None:
    """32,767 characters as those count, in UTF-16: more is cut, and the cell says so."""
    statement = Query(store, OPEN)
    shown = statement.one(f"SELECT {cells.fitting(statement.bind(text, 'String'))} AS v")["v"]
    assert len(shown.encode("utf-16-le")) // 2 <= cells.CELL_LIMIT
    if len(text.encode("utf-16-le")) // 2 <= cells.CELL_LIMIT:
        assert shown == text
    else:
        assert shown.endswith(cells.CUT)
        assert text.startswith(shown.removesuffix(cells.CUT))
        assert len(shown.encode("utf-16-le")) // 2 > 16_000


def test_a_byte_order_mark_comes_where_it_is_asked_for(client: TestClient, given: Given) -> None:
    """Before CSV, in the archive too; the API's own is without, and no other format has one."""
    given.turn(f"c-{given.tenant}", input_messages=HELLO.replace("Hello", "x" * 40_000))
    given.save()
    asked = {**FROM_TO, "conversation_id": f"c-{given.tenant}"}
    plain = client.get("/api/v1/exports/messages", params=asked).content
    marked = client.get("/api/v1/exports/messages", params=asked | {"bom": "true"}).content
    assert plain.startswith(b'"message_id"')
    assert marked == cells.MARK + plain
    first, *_ = csv.DictReader(io.StringIO(plain.decode()))
    assert first["content"].endswith(cells.CUT)
    archive = client.get("/api/v1/exports/all", params=asked | {"bom": "true"}).content
    opened = zipfile.ZipFile(io.BytesIO(archive))
    assert all(opened.read(name).startswith(cells.MARK) for name in opened.namelist())
    wrong = client.get("/api/v1/exports/events", params=asked | {"bom": "true", "format": "jsonl"})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (422, "bom")


@examples(20, 200)
@generated(
    strategies.lists(
        strategies.fixed_dictionaries(
            {"role": strategies.sampled_from(["user", "assistant"])},
            optional={
                "content": strategies.text(max_size=5) | strategies.integers(0, 9),
                "parts": strategies.none()
                | strategies.lists(
                    strategies.fixed_dictionaries(
                        {"content": strategies.text(max_size=5) | strategies.integers(0, 9)},
                        optional={"type": strategies.sampled_from(["text", "tool_call"])},
                    ),
                    max_size=3,
                ),
            },
        ),
        max_size=3,
    )
)
def test_texts_are_those_of_the_transcript(store: Store, messages: list[Any]) -> None:
    """The engine reads out of stored messages what the transcript does."""
    stored = json.dumps(messages)
    statement = Query(store, OPEN)
    bound = statement.bind(stored, "String")
    user = exports.USER_TEXT.replace("input_messages", bound)
    reply = exports.REPLY_TEXT.replace("output_messages", bound)
    row = statement.one(f"SELECT {user} AS user, {reply} AS reply")
    assert row["user"] == (content.user_message(OPEN, stored) or "")
    assert row["reply"] == (content.reply(OPEN, stored) or "")


@pytest.mark.parametrize("path", [*KINDS, "all"])
def test_exports_are_downloads(talked: Given, server: str, path: str) -> None:
    """With a file name; `all` is an archive of the five, which agree with the single ones."""
    with web.Client(base_url=server) as client:
        asked = {**FROM_TO, "format": "jsonl", "user_type": "client"}
        answer = client.get(f"/api/v1/exports/{path}", params=asked)
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
        assert "content-length" not in answer.headers
        if path == "all":
            archive = zipfile.ZipFile(io.BytesIO(answer.content))
            assert archive.testzip() is None
            for kind in KINDS:
                single = client.get(f"/api/v1/exports/{kind}", params=asked).content
                assert archive.read(f"{kind}.jsonl") == single


@pytest.mark.parametrize("path", ["messages", "all"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_cut_export_is_noticed(
    server: str, break_off: BreakOff, path: str, encoding: str
) -> None:
    """The connection breaks before the last chunk, compressed or not: an error, not an end."""
    break_off(3)
    with pytest.raises(httpx.RemoteProtocolError):
        web.get(
            f"{server}/api/v1/exports/{path}",
            params={**FROM_TO, "format": "jsonl"},
            headers={"accept-encoding": encoding},
        )


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_that_cannot_begin_says_so(server: str, break_off: BreakOff, form: str) -> None:
    """503 with the one error shape; and it holds no place: the next ones get theirs."""
    break_off(0)
    for _ in range(5):
        answer = web.get(f"{server}/api/v1/exports/sessions", params={"format": form})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert "went away" in answer.json()["error"]["message"]


@pytest.mark.parametrize("kind", KINDS)
def test_parquet_says_of_its_columns_what_they_are(talked: Given, kind: str, tmp_path: Any) -> None:
    """Text is text and numbers are numbers: no reader gets bytes to make sense of."""
    file = tmp_path / "rows.parquet"
    file.write_bytes(export(talked, kind, "parquet"))
    metadata = f"SELECT arrayJoin(columns) AS one FROM file('{file}', ParquetMetadata)"
    rows = talked.store.query(
        f"SELECT one.name AS name, one.logical_type AS kind FROM ({metadata})"
        " WHERE one.physical_type LIKE '%BYTE_ARRAY'"
    )
    assert rows
    unknown = {row["name"] for row in rows if not re.match(r"String|Decimal", str(row["kind"]))}
    assert unknown == set()


def test_many_user_agents_are_told_apart(store: Store) -> None:
    """More of them than a parameter holds, of conversations as of turns."""
    given = Given(store)
    store.command(
        """
        INSERT INTO turns (tenant, conversation_id, start, end, duration, trace_id, span_id, status,
            user_agent)
        SELECT {tenant:String}, concat('c-', toString(number)),
            toDateTime64('2026-11-10 12:00:00', 9, 'UTC') + number AS at, at + 1, 1,
            toFixedString(reverse(toString(number + 1e6)), 16),
            toFixedString(toString(number + 1e6), 8), 'ok',
            concat(if(number % 2, 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)',
                'Mozilla/5.0 (X11; Linux x86_64)'),
                ' AppleWebKit/605.1.15 (KHTML, like Gecko) build/', toString(number))
        FROM numbers({many:UInt32})
        """,
        {"tenant": given.tenant, "many": 2000},
    )
    for ask in (exports.export_sessions, exports.export_interactions):
        told = b"".join(ask(store, given.scope, DAY, Filters())).splitlines()
        counted = Counter(json.loads(line)["device"] for line in told)
        assert counted == {"Phone": 1000, "Desktop": 1000}


def test_more_tokens_than_64_bits_hold_are_counted(given: Given) -> None:
    """In rows, sums and exports of each format."""
    most = 2**64 - 1
    for second in range(3):
        given.turn("a", second, input_tokens=most, output_tokens=most)
    given.save()
    every = 6 * most
    figures = overview(given.store, given.scope, DAY, Filters())
    assert (figures.tokens.input, figures.tokens.total) == (3 * most, every)
    statistics = interaction_statistics(given.store, given.scope, DAY, Filters())
    assert (statistics.tokens.total, statistics.models[0].tokens) == (every, every)
    (row,) = conversations(given.store, given.scope, DAY, Filters()).items
    assert row.tokens.total == every
    (written,) = lines(given, "sessions")
    assert {int(written["input_tokens"]), int(written["output_tokens"])} == {3 * most}
