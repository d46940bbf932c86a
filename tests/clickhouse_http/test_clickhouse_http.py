"""ClickHouse's HTTP interface as clickhouse-connect finds it here."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from urllib3.exceptions import HTTPError

from otel_chat.server.schema import otlp_definition
from tests import web
from tests.clickhouse_http.running import Running, running

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILING = (
    "SELECT number, throwIf(number = 400000, 'it is enough') AS failed FROM numbers(1000000)"
    " SETTINGS max_block_size = 50000, max_threads = 1"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("clickhouse")) as begun:
        yield begun


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[Any]:
    with contextlib.closing(server.connect()) as connected:
        yield connected


@pytest.fixture
def plain(server: Running) -> Iterator[httpx.Client]:
    """HTTP as it is."""
    with web.Client(
        base_url=f"http://{server.host}:{server.port}",
        headers={"X-ClickHouse-User": "default", "X-ClickHouse-Key": server.password},
    ) as connected:
        yield connected


# The client gives times of UTC without their zone.
SECOND = dt.datetime.fromisoformat("2026-11-29T01:02:03")
ROW = {
    "number": (2**63, "UInt64"),
    "wide": (-(2**100), "Int128"),
    "ratio": (0.1, "Float64"),
    "flag": (True, "Bool"),
    "text": ("it's\t\\ é\n", "String"),
    "kind": ("a", "LowCardinality(String)"),
    "nothing": (None, "Nullable(Int8)"),
    "list": ([[1], [2, 3]], "Array(Array(Int16))"),
    "map": ({"a": "1", "": ""}, "Map(String, String)"),
    "pair": ((1, "x"), "Tuple(Int8, String)"),
    "price": (Decimal("0.000000001"), "Decimal(38, 9)"),
    "day": (dt.date(2026, 11, 29), "Date"),
    "second": (SECOND, "DateTime('UTC')"),
    "moment": (SECOND + dt.timedelta(microseconds=456789), "DateTime64(9, 'UTC')"),
    "id": (UUID(int=5), "UUID"),
    "bytes": (b"\x00\xff" * 8, "FixedString(16)"),
}


def test_every_type_comes_back_as_it_was_sent(client: Any) -> None:
    """By the Native format in both directions, compressed as the client likes it."""
    columns = ", ".join(f"`{name}` {kind}" for name, (_, kind) in ROW.items())
    client.command(f"CREATE TABLE types ({columns}) ENGINE = MergeTree ORDER BY number")
    row = [value for value, _ in ROW.values()]
    written = client.insert("types", [row, row], column_names=list(ROW)).summary
    found = client.query("SELECT * FROM types", query_formats={"FixedString": "bytes"})
    assert written["written_rows"] == "2"
    assert found.column_names == tuple(ROW)
    assert found.result_rows == [tuple(row)] * 2


@pytest.mark.parametrize("size", [3, 60_000])
def test_parameters_are_values_and_not_sql(client: Any, size: int) -> None:
    """In the address, or in a form where they are long."""
    text = "it's\t\\ é\n?&%" * (size // 12)
    found = client.query(
        "SELECT {text:String} AS text, {list:Array(Int64)} AS list, {none:Nullable(String)} AS n",
        parameters={"text": text, "list": [1, -2], "none": None},
    )
    assert found.result_rows == [(text, [1, -2], None)]


def test_no_parameter_is_longer_than_a_server_takes(client: Any) -> None:
    """128 KiB, in a form too."""
    with pytest.raises(DatabaseError, match="Field value too long"):
        client.query("SELECT length({text:String})", parameters={"text": "x" * 131_073})


def test_protobuf_is_inserted_by_a_schema_that_comes_as_text(client: Any) -> None:
    """As the ingest does it."""
    client.command("CREATE TABLE raw (kind String, b String) ENGINE = MergeTree ORDER BY tuple()")
    settings = {
        "format_schema_source": "string",
        "format_schema": 'syntax = "proto3"; message Raw { string kind = 1; bytes b = 2; }',
        "format_schema_message_name": "Raw",
    }
    body = b"\x0a\x02ab\x12\x03\x00\xff;"
    done = client.raw_insert(
        "raw", insert_block=bytes([len(body)]) + body, fmt="Protobuf", settings=settings
    )
    assert done.summary["written_rows"] == "1"
    assert client.raw_query("SELECT kind, hex(b) FROM raw", fmt="CSV") == b'"ab","00FF3B"\n'
    with pytest.raises(DatabaseError, match="CANNOT_PARSE_PROTOBUF_SCHEMA"):
        client.raw_insert(
            "raw", insert_block=b"\x00", fmt="Protobuf",
            settings={**settings, "format_schema": "message {"},
        )  # fmt: skip
    assert otlp_definition().is_file()


@pytest.mark.parametrize("fmt", ["CSVWithNames", "JSONEachRow", "Parquet", "Native"])
def test_a_stream_holds_what_the_query_returns(client: Any, fmt: str) -> None:
    """In formats that flow, and in those that have a head or a foot."""
    sql = "SELECT number, toString(number) AS text FROM numbers(200000)"
    with contextlib.closing(client.raw_stream(sql, fmt=fmt)) as stream:
        streamed = b"".join(iter(lambda: stream.read(1 << 16), b""))
    if fmt == "Native":
        assert len(streamed) > 200000 * 9
    else:
        assert streamed == client.raw_query(sql, fmt=fmt)


def test_what_is_read_in_part_is_given_up(client: Any) -> None:
    """A reader that leaves does not wait for the rest."""
    stream = client.raw_stream("SELECT number FROM system.numbers", fmt="CSV")
    assert stream.read(4) == b"0\n1\n"
    stream.close()
    assert client.command("SELECT 1") == 1


def test_an_error_before_the_first_row_has_its_number(plain: httpx.Client) -> None:
    """And a status of its kind."""
    for sql, status, code in (
        ("SELECT * FROM nowhere", 404, "60"),
        ("SELEC 1", 400, "62"),
        ("SELECT throwIf(1)", 500, "395"),
        ("SELECT 1 SETTINGS nothing = 1", 404, "115"),
    ):
        answer = plain.post("/", content=sql)
        assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (status, code)
        assert answer.text.startswith(f"Code: {code}. DB::Exception: ")


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_an_error_behind_rows_is_told_within_them(server: Running, compress: bool | str) -> None:
    """The client finds it by the tag that the headers name, and raises it."""
    with contextlib.closing(server.connect(compress=compress)) as client:
        read: list[object] = []
        with client.query_row_block_stream(FAILING) as stream:
            failing = pytest.raises(StreamFailureError, match=r"Code: 395.*it is enough")
            with failing:
                read.extend(stream)
        assert read
        assert client.command("SELECT 1") == 1


def test_a_raw_stream_breaks_off_behind_an_error(client: Any) -> None:
    """Its words are the last, and the connection ends without the end of the answer."""
    read: list[bytes] = []
    stream = client.raw_stream(FAILING, fmt="CSV")
    with pytest.raises(HTTPError):
        read.extend(iter(lambda: stream.read(1 << 16), b""))
    assert read[0].startswith(b"0,0\n1,0\n")


def test_a_raw_answer_ends_with_the_words_of_the_error(plain: httpx.Client) -> None:
    """As a server of 25.11 and later writes them."""
    read: list[bytes] = []
    with (
        plain.stream("POST", "/", content=FAILING) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        read.extend(answer.iter_bytes())
    got = b"".join(read)
    tag = answer.headers["x-clickhouse-exception-tag"].encode()
    rows, begin, rest = got.partition(b"\r\n__exception__\r\n" + tag + b"\r\n")

    assert begin
    assert rows.startswith(b"0\t0\n")
    assert b"it is enough" in rest
    assert rest.endswith(b" " + tag + b"\r\n__exception__\r\n")


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip"])
def test_requests_and_answers_are_compressed(server: Running, compress: str) -> None:
    """By the method that the client asks for."""
    with contextlib.closing(server.connect(compress=compress)) as client:
        client.command(f"CREATE TABLE {compress} (a UInt64) ENGINE = Memory")
        client.insert(compress, [[number] for number in range(70_000)], column_names=["a"])
        assert len(client.query(f"SELECT a FROM {compress}").result_rows) == 70_000
    with web.Client() as plain:
        answer = plain.post(
            f"http://{server.host}:{server.port}/?enable_http_compression=1&query=SELECT+1",
            headers={"Accept-Encoding": compress, "X-ClickHouse-Key": server.password},
        )
        assert answer.headers["content-encoding"] == compress


def test_who_has_another_password_is_refused(server: Running) -> None:
    """With the error that says so; `/ping` asks for none."""
    with pytest.raises(DatabaseError, match=r"516.*AUTHENTICATION_FAILED"):
        server.connect(password="another")
    url = f"http://{server.host}:{server.port}"
    assert web.get(f"{url}/?query=SELECT+1").status_code == 403
    right = {"user": "default", "password": server.password, "query": "SELECT 1"}
    assert web.get(url, params=right).text == "1\n"
    assert web.get(url, auth=("default", server.password), params={"query": "SELECT 2"}).is_success
    assert web.get(f"{url}/ping").text == "Ok.\n"


def test_a_session_keeps_what_was_set(plain: httpx.Client) -> None:
    """And nobody else has it; a GET changes nothing."""
    session = {"session_id": "one"}
    plain.post(
        "/", params=session, content="CREATE TEMPORARY TABLE mine (a Int8)"
    ).raise_for_status()
    plain.post("/", params=session, content="INSERT INTO mine VALUES (5)").raise_for_status()
    assert plain.post("/", params=session, content="SELECT a FROM mine").text == "5\n"
    assert plain.post("/", content="SELECT a FROM mine").status_code == 404
    unknown = plain.post("/", params={"session_id": "x", "session_check": "1"}, content="SELECT 1")
    assert unknown.headers["x-clickhouse-exception-code"] == "372"
    read_only = plain.get("/", params={"query": "CREATE TABLE never (a Int8) ENGINE = Memory"})
    assert read_only.headers["x-clickhouse-exception-code"] == "164"


def test_headers_say_what_was_asked_and_done(plain: httpx.Client) -> None:
    """Number of the query, format and counts; a format may come by header or by address."""
    answer = plain.post(
        "/",
        params={"query_id": "mine", "wait_end_of_query": "1", "default_format": "JSONEachRow"},
        content="SELECT sum(number) AS s FROM numbers(10)",
    )
    summary = json.loads(answer.headers["x-clickhouse-summary"])
    assert answer.json() == {"s": 45}
    assert answer.headers["x-clickhouse-query-id"] == "mine"
    assert answer.headers["x-clickhouse-format"] == "JSONEachRow"
    assert summary["read_rows"] == "10"
    assert plain.post("/?query=INSERT INTO nowhere FORMAT CSV", content="1").status_code == 404
