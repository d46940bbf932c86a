"""The connection to the ClickHouse dialect, embedded or served, one client a question at a time."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, cast

import clickhouse_connect
from clickhouse_connect.driver.exceptions import (
    ClickHouseError,
    InterfaceError,
    OperationalError,
)
from urllib3.exceptions import HTTPError

from otel_chat._common.extras import require
from otel_chat.errors import (
    ConfigurationError,
    QuestionLimitError,
    StoreError,
    StoreUnavailableError,
)
from otel_chat.server.schema import otlp_definition
from otel_chat.server.store.limits import EXPORT, QUESTION
from otel_chat.server.store.lock import StoreLock
from otel_chat.server.store.private import PrivateFolder
from otel_chat.server.store.trouble import Trouble, beyond, condition
from otel_chat.server.store.url import StoreUrl

Parameters = Mapping[str, object] | None

SETTINGS: Final = {
    # Rows that share a key lie in one partition: partitions need not be merged with one another.
    "do_not_merge_across_partitions_select_final": 1,
    "use_skip_indexes_if_final": 1,
    # An acknowledged row is in its table, on a cluster in that of its shard.
    "async_insert": 0,
    "distributed_foreground_insert": 1,
    "materialized_views_ignore_errors": 0,
    # A body may hold any month that the ingest takes, 2000 to 2100.
    "max_partitions_per_insert_block": 1300,
    # Without it 0, false and an absent value look alike.
    "input_format_protobuf_oneof_presence": 1,
    # An export's statement holds what its user agents say.
    "max_query_size": 64 * 1024 * 1024,
}
PIECE: Final = 1 << 18
AWAY: Final = "The store does not answer."
# Of urllib3 is the error of an answer that breaks off: the client lets it through as it is.
_AWAY: Final = (OperationalError, InterfaceError, ConnectionError, TimeoutError, HTTPError)


class _Client(Protocol):
    """What is used of a client of clickhouse-connect."""

    def query(self, query: str, *, parameters: Parameters) -> Any: ...
    def command(self, cmd: str, *, parameters: Parameters) -> Any: ...
    def raw_stream(self, query: str, *, parameters: Parameters, fmt: str) -> Any: ...
    def raw_insert(
        self, table: str, *, insert_block: bytes, fmt: str, settings: Mapping[str, object]
    ) -> Any: ...
    def insert(
        self,
        table: str,
        data: Sequence[Sequence[object]],
        *,
        column_names: Sequence[str],
    ) -> Any: ...
    def close(self) -> None: ...


def _reason(error: BaseException) -> str:
    """What the engine said; its text may hold raw bytes of the data it refused."""
    if isinstance(error, UnicodeDecodeError):
        return bytes(error.object).decode(errors="replace")
    return str(error)


class Engine:
    """Clients of one store, and the errors that they raise put into ours.

    Args:
        url: Where the store is.

    Raises:
        MissingExtraError: If the store is embedded and its engine is not installed.
        StoreLockedError: If another process holds the embedded store.
        StoreUnavailableError: If the server does not answer.
        StoreError: If the engine cannot open the folder.
    """

    def __init__(self, url: StoreUrl) -> None:
        if url.path is not None:
            require(f"The store {url}", "embedded")
        self.url = url
        self.trouble = Trouble()
        self.question, self.export = QUESTION, EXPORT
        self._pid = os.getpid()
        self._clients: list[_Client] = []
        self._idle: list[_Client] = []
        self._guard = threading.Lock()
        self._closed = False
        self._lock: StoreLock | None = None
        self._private: PrivateFolder | None = None
        try:
            if url.path is not None:
                self._hold(url.path)
            with self._client():
                pass
        except BaseException:
            self.close()
            raise

    def _hold(self, folder: Path) -> None:
        name = str(folder.resolve())
        if "?" in name or name != name.strip():
            message = "store: the engine knows no folder with ? in its name, or a space at its end."
            raise ConfigurationError(message)
        try:
            self._private = PrivateFolder(folder)
            self._lock = StoreLock(folder)
            self._private.clean()
        except OSError as error:
            message = f"The store's folder {folder} cannot be used: {error.strerror}."
            raise StoreError(message) from error

    @contextmanager
    def _client(self) -> Iterator[_Client]:
        """A client that nobody else uses meanwhile: to connect one takes longer than to ask it."""
        if os.getpid() != self._pid:
            message = "This store was opened before a fork: open it in the child instead."
            raise StoreError(message)
        with self._guard:
            if self._closed:
                raise StoreUnavailableError("The store is closed.")
            client = self._idle.pop() if self._idle else None
        if client is None:
            client = self._connect()
            with self._guard:
                self._clients.append(client)
        try:
            yield client
        finally:
            with self._guard:
                self._idle.append(client)

    def _connect(self) -> _Client:
        url = self.url
        try:
            if url.path is not None:
                embedded = clickhouse_connect.get_client(
                    interface="chdb", path=str(url.path.resolve()), settings=SETTINGS
                )
                return cast("_Client", embedded)
            served = clickhouse_connect.get_client(
                interface="https" if url.secure else "http",
                host=url.host,
                port=url.port,
                username=url.username,
                password=url.password,
                database=url.database,
                autogenerate_session_id=False,
                settings=SETTINGS,
            )
            return cast("_Client", served)
        except _AWAY as error:
            message = f"{url} does not answer: {_reason(error)}"
            raise StoreUnavailableError(message, told=AWAY) from error
        except ClickHouseError as error:
            raise StoreError(f"{url} cannot be opened: {_reason(error)}") from error

    def query(self, sql: str, parameters: Parameters = None) -> list[dict[str, Any]]:
        """The rows that a SELECT returns, as dictionaries."""
        with _translated(self), self._client() as client:
            result = client.query(sql, parameters=parameters)
            names = result.column_names
            return [dict(zip(names, row, strict=True)) for row in result.result_rows]

    def stream(self, sql: str, parameters: Parameters = None, *, fmt: str) -> Iterator[bytes]:
        """What a SELECT returns in one of the engine's formats, piece by piece.

        Its pieces are read, and it is closed, in the thread that began it.

        Args:
            sql: The SELECT.
            parameters: Its bound values.
            fmt: CSV and JSONEachRow flow as they are read, with no more than a block in memory;
                Parquet comes by way of a temporary file from the embedded engine.

        Raises:
            StoreUnavailableError: If it breaks off; what was yielded until then is not all.
        """
        with _translated(self), self._client() as client:
            if fmt == "Parquet" and self.url.path is not None:
                folder = self._private.for_engine() if self._private else None
                yield from _by_file(client, sql, parameters, fmt, folder)
                return
            stream = client.raw_stream(sql, parameters=parameters, fmt=fmt)
            try:
                while chunk := stream.read(PIECE):
                    yield chunk
            finally:
                stream.close()

    def command(self, sql: str, parameters: Parameters = None) -> object:
        """What a statement that returns at most one value returns."""
        with _translated(self), self._client() as client:
            return client.command(sql, parameters=parameters)

    def insert_otlp(self, table: str, block: bytes, *, message: str) -> None:
        """Inserts protobuf messages, each behind its length; returns when they are on disk.

        Args:
            table: The table that takes them.
            block: The messages.
            message: Their name in `schema/otlp.proto`.
        """
        definition = otlp_definition()
        if self.url.path is not None:
            # Given as text, the embedded engine would write a copy into the working directory.
            settings = {"format_schema": f"{definition.resolve()}:{message}"}
        else:
            settings = {
                "format_schema_source": "string",
                "format_schema": definition.read_text(encoding="utf-8"),
                "format_schema_message_name": message,
            }
        with _translated(self, inserting=True), self._client() as client:
            client.raw_insert(table, insert_block=block, fmt="Protobuf", settings=settings)

    def put_object(self, address: str, key: str, secret: str, content: bytes) -> None:
        """Puts an object into a bucket, in place of another; the engine signs and sends.

        Args:
            address: The object's, percent-encoded.
            key: The id of the access key.
            secret: The key; an error never says it, but the engine's own log of queries hides it.
            content: What is in it.

        Raises:
            StoreError: If it cannot be put there.
        """
        quoted = [
            "'" + one.replace("\\", "\\\\").replace("'", "\\'") + "'"
            for one in (address, key, secret)
        ]
        place = f"FUNCTION s3({', '.join(quoted)}, 'RawBLOB', 'content String')"
        settings = {"s3_truncate_on_insert": 1}
        with _translated(self), self._client() as client:
            client.raw_insert(place, insert_block=content, fmt="RawBLOB", settings=settings)

    def insert_rows(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Inserts rows that have the same keys; returns when they are on disk."""
        if not rows:
            return
        names = list(rows[0])
        with _translated(self, inserting=True), self._client() as client:
            client.insert(
                table,
                [[row[name] for name in names] for row in rows],
                column_names=names,
            )

    def close(self) -> None:
        """Closes every client and gives the embedded store free."""
        with self._guard:
            self._closed = True
            clients, self._clients, self._idle = self._clients, [], []
        if os.getpid() == self._pid:
            for client in clients:
                client.close()
        if self._private is not None:
            held = self._lock is not None and os.getpid() == self._pid
            self._private.release(clean=held)
            self._private = None
        if self._lock is not None:
            self._lock.release()


def _by_file(
    client: _Client, sql: str, parameters: Parameters, fmt: str, folder: str | None
) -> Iterator[bytes]:
    """The embedded engine streams no format that has a footer, but to a file."""
    with tempfile.TemporaryDirectory(prefix="otel-chat-", dir=folder) as made:
        path = Path(made, "rows")
        quoted = str(path).replace("\\", "\\\\").replace("'", "\\'")
        target = f"'{quoted}', '{fmt}'"
        client.command(f"INSERT INTO FUNCTION file({target}) {sql}", parameters=parameters)
        with path.open("rb") as file:
            while chunk := file.read(PIECE):
                yield chunk


class _translated:  # noqa: N801 - reads as a verb where it is used
    """Puts what the engine raises into the product's errors."""

    def __init__(self, engine: Engine, *, inserting: bool = False) -> None:
        self._engine = engine
        self._inserting = inserting

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        url, trouble = self._engine.url, self._engine.trouble
        if isinstance(error, ClickHouseError | UnicodeDecodeError | OSError | HTTPError):
            reason = _reason(error)
            if words := beyond(reason):
                raise QuestionLimitError(f"{words} {reason}", told=words) from error
            if words := condition(reason, inserting=self._inserting):
                trouble.note(words, reason)
                raise StoreUnavailableError(f"{url}: {words} {reason}", told=words) from error
            if isinstance(error, _AWAY):
                message = f"{url} does not answer: {reason}"
                raise StoreUnavailableError(message, told=AWAY) from error
            if not isinstance(error, OSError):
                raise StoreError(reason) from error
