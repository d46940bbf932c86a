"""The HTTP of it: what a request asks, who asks, and how the answer is written."""

from __future__ import annotations

import asyncio
import base64
import binascii
import email
import json
import secrets
import string
import uuid
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Protocol

import lz4.frame
from backports import zstd
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from tests.clickhouse_http.engine import EngineError, Question, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send

    from tests.clickhouse_http.engine import Answer, Handle, Handles

MOST_CHARACTERS: Final = 131_072
"""`http_max_field_value_size`: no value of a URL or form is longer."""
MOST_URL: Final = 1 << 20
"""`http_max_uri_size`."""
_OWN: Final = frozenset(
    [
        "query",
        "database",
        "default_format",
        "query_id",
        "session_id",
        "session_timeout",
        "session_check",
        "user",
        "password",
        "quota_key",
        "role",
        "compress",
        "decompress",
        "buffer_size",
        "wait_end_of_query",
        "client_protocol_version",
        "enable_http_compression",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
    ]
)
_STATUS: Final = {
    **dict.fromkeys((192, 193, 516), 403),  # the user
    194: 401,
    **dict.fromkeys((36, 53, 62, 27, 33, 34, 38, 41, 43, 47, 72, 117, 386, 456, 457), 400),
    **dict.fromkeys((46, 50, 56, 60, 73, 78, 81, 115), 404),  # what is unknown
    159: 408,
    48: 501,
}


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _Lz4:
    """As the others have it."""

    def __init__(self) -> None:
        self._compressor = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def compress(self, data: bytes, /) -> bytes:
        begin = b"" if self._begun else self._compressor.begin()
        self._begun = True
        return bytes(begin + self._compressor.compress(data))

    def flush(self) -> bytes:
        return self.compress(b"") + bytes(self._compressor.flush())


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


_COMPRESSORS: Final = {
    "lz4": _Lz4,
    "zstd": zstd.ZstdCompressor,
    "gzip": lambda: zlib.compressobj(wbits=31),
    "deflate": zlib.compressobj,
}
_DECOMPRESS: Final = {
    "lz4": lz4.frame.decompress,
    "zstd": zstd.decompress,
    "gzip": lambda data: zlib.decompress(data, wbits=31),
    "deflate": zlib.decompress,
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that was read."""

    question: Question
    session: str
    known_session: bool
    query_id: str
    encoding: str


class Interface:
    """The application.

    Args:
        handles: The engine's handles.
        user: The one user.
        password: The user's password.
    """

    def __init__(self, handles: Handles, *, user: str, password: str) -> None:
        self._handles = handles
        self._user = user
        self._password = password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        query_id = request.query_params.get("query_id") or str(uuid.uuid4())
        try:
            response = await self._answer(request, query_id)
        except EngineError as error:
            response = self._refused(error, query_id)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request, query_id: str) -> Response:
        if request.url.path == "/ping":
            return PlainTextResponse("Ok.\n")
        if request.url.path != "/":
            text = f"There is no handle {request.url.path}\n"
            return PlainTextResponse(text, status_code=404)
        self._check_user(request)
        asked = await _read(request, query_id)
        if not asked.question.sql.strip():
            return PlainTextResponse("Ok.\n")
        handle = self._handles.take(asked.session, known=asked.known_session)
        try:
            answer = await run_in_threadpool(handle.ask, asked.question)
        except BaseException:
            await run_in_threadpool(self._handles.give, asked.session, handle)
            raise
        return _Answered(self._handles, handle, asked, answer)

    def _check_user(self, request: Request) -> None:
        headers, values = request.headers, request.query_params
        user, password = self._user_of_basic(headers.get("authorization", ""))
        user = headers.get("x-clickhouse-user", values.get("user", user))
        password = headers.get("x-clickhouse-key", values.get("password", password))
        right = secrets.compare_digest(password.encode(), self._password.encode())
        if user != self._user or not right:
            text = (
                f"{user}: Authentication failed: password is incorrect, or there is no user with"
                " such name."
            )
            raise refusal(516, text, "AUTHENTICATION_FAILED")

    @staticmethod
    def _user_of_basic(header: str) -> tuple[str, str]:
        kind, _, text = header.partition(" ")
        if kind.lower() != "basic":
            return "default", ""
        try:
            user, _, password = base64.b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise refusal(516, "Invalid authorization.", "AUTHENTICATION_FAILED") from None
        return user, password

    def _refused(self, error: EngineError, query_id: str) -> Response:
        return PlainTextResponse(
            told(error, self._handles.version),
            status_code=_STATUS.get(error.code, 500),
            headers={
                "X-ClickHouse-Query-Id": query_id,
                "X-ClickHouse-Exception-Code": str(error.code),
                "X-ClickHouse-Timezone": self._handles.timezone,
            },
        )


def told(error: EngineError, version: str) -> str:
    """An error as a server writes it."""
    return f"{error} (version {version} (official build))\n"


async def _read(request: Request, query_id: str) -> _Asked:
    if len(request.url.query) > MOST_URL:
        raise refusal(1000, "URI Too Long", "POCO_EXCEPTION")
    values = dict(request.query_params)
    body = await request.body()
    encoding = request.headers.get("content-encoding", "")
    if encoding in _DECOMPRESS:
        body = _DECOMPRESS[encoding](body)
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        values |= _form(request.headers["content-type"], body)
        body = b""
    if any(len(value) > MOST_CHARACTERS for value in values.values()):
        raise refusal(1000, "HTML Form Exception: Field value too long", "POCO_EXCEPTION")
    query = values.get("query", "").encode()
    settings = {
        name: value
        for name, value in values.items()
        if name not in _OWN and not name.startswith("param_")
    }
    if request.method == "GET":
        settings["readonly"] = "2"
    accepted = request.headers.get("accept-encoding", "") if _on(
        values, "enable_http_compression"
    ) else ""  # fmt: skip
    return _Asked(
        question=Question(
            sql=query + b"\n" + body if query and body else query or body,
            database=values.get("database", request.headers.get("x-clickhouse-database", "")),
            parameters={
                name.removeprefix("param_"): value
                for name, value in values.items()
                if name.startswith("param_")
            },
            settings=settings,
            default_format=values.get(
                "default_format", request.headers.get("x-clickhouse-format", "TabSeparated")
            ),
            whole=_on(values, "wait_end_of_query"),
        ),
        session=values.get("session_id", ""),
        known_session=_on(values, "session_check"),
        query_id=query_id,
        encoding=next((name for name in _COMPRESSORS if name in accepted), ""),
    )


def _on(values: dict[str, str], name: str) -> bool:
    return values.get(name, "0") not in {"0", "false"}


def _form(content_type: str, body: bytes) -> dict[str, str]:
    message = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    parts: Iterable[object] = message.walk()
    found = {}
    for part in parts:
        if not isinstance(part, email.message.Message) or part.is_multipart():
            continue
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            found[str(name)] = payload.decode()
    return found


async def _left(receive: Receive) -> None:
    """Ends when whoever asked is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


class _Answered(Response):
    """An answer that is sent as it is read, and cut off where the engine fails."""

    def __init__(self, handles: Handles, handle: Handle, asked: _Asked, answer: Answer) -> None:
        self._handles = handles
        self._handle = handle
        self._asked = asked
        self._answer = answer
        self._tag = "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
        shape = asked.question.format
        headers = {
            "X-ClickHouse-Query-Id": asked.query_id,
            "X-ClickHouse-Timezone": handles.timezone,
            "X-ClickHouse-Exception-Tag": self._tag,
            "X-ClickHouse-Summary": json.dumps(
                {name: str(count) for name, count in asdict(answer.counts).items()}
            ),
        }
        if shape is not None:
            headers["X-ClickHouse-Format"] = shape
        if asked.encoding:
            headers["Content-Encoding"] = asked.encoding
        super().__init__(headers=headers, media_type="application/octet-stream")
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it; without an end where the engine fails, and the connection breaks."""
        compressor: _Compressor = _COMPRESSORS.get(self._asked.encoding, _Plain)()
        gone = asyncio.ensure_future(_left(receive))

        async def more(data: bytes) -> None:
            if data:
                await send({"type": "http.response.body", "body": data, "more_body": True})

        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while (block := await run_in_threadpool(next, self._answer.blocks, None)) is not None:
                if gone.done():
                    return
                await more(compressor.compress(block))
            await more(compressor.flush())
        except EngineError as error:
            await more(compressor.compress(self._within(error)) + compressor.flush())
            return
        finally:
            gone.cancel()
            await run_in_threadpool(self._release)
        await send({"type": "http.response.body", "body": b""})

    def _within(self, error: EngineError) -> bytes:
        """An error as it stands behind the rows that were sent before it."""
        text = told(error, self._handles.version).encode()
        tag = self._tag.encode()
        begin = b"\r\n__exception__\r\n" + tag + b"\r\n"
        return begin + text + f"{len(text)} ".encode() + tag + b"\r\n__exception__\r\n"

    def _release(self) -> None:
        close = getattr(self._answer.blocks, "close", None)
        if close is not None:
            close()
        self._handles.give(self._asked.session, self._handle)
