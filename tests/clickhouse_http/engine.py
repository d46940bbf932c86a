"""The embedded engine, asked by one handle for each request or session."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import chdb
from chdb.state import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# The engine's blocks of another format are whole files, one behind the other.
_FLOWING: Final = frozenset(
    {"csv", "tabseparated", "tsv", "jsoneachrow", "rowbinary", "native", "null"}
)
_FORMAT: Final = re.compile(rb"\bFORMAT\s+(\w+)\s*(?:SETTINGS\s+[^;]*)?(?:;\s*)?\Z", re.IGNORECASE)
_SPACE_AND_COMMENTS: Final = re.compile(rb"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
_RETURNS: Final = re.compile(
    rb"\(|(?:SELECT|WITH|SHOW|DESCRIBE|DESC|EXPLAIN|EXISTS|CHECK)\b", re.IGNORECASE
)
_SELECTS: Final = re.compile(rb"\(|(?:SELECT|WITH)\b", re.IGNORECASE)
# Data behind the statement itself would lose the spaces at its end.
_INSERT: Final = re.compile(
    rb"\s*(INSERT\s+INTO\s+[^\s(]+\s*(?:\([^)]*\))?)\s*FORMAT\s+(\w+)[ \t]*\r?\n?", re.IGNORECASE
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CODE: Final = re.compile(r"Code: (\d+)\.")


class EngineError(Exception):
    """What the engine refuses, in its words.

    Args:
        code: The number of the error.
        text: `Code: N. DB::Exception: ... (NAME)`.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def refusal(code: int, text: str, name: str) -> EngineError:
    """An error as the engine words its own."""
    return EngineError(code, f"Code: {code}. DB::Exception: {text} ({name})")


def _told(error: Exception) -> EngineError:
    text = str(error)
    found = _CODE.search(text)
    if found is None:
        return refusal(1001, text, "STD_EXCEPTION")
    return EngineError(int(found[1]), text[found.start() :].strip())


@dataclass(slots=True)
class Question:
    """What a request asks.

    Args:
        sql: The statement, with the data of an insert behind it.
        database: Where names are looked up.
        parameters: Values of `{name:Type}`.
        settings: Settings, by name.
        default_format: The format where the statement names none.
        whole: Whether nothing is sent before all is known.
    """

    sql: bytes
    database: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    default_format: str = "TabSeparated"
    whole: bool = False

    @property
    def format(self) -> str | None:
        """The format of its answer; None where it has none."""
        if not _RETURNS.match(self.sql, self._begins()):
            return None
        found = _FORMAT.search(self.sql)
        return found[1].decode() if found else self.default_format

    @property
    def flows(self) -> bool:
        """Whether its answer comes block by block."""
        selects = _SELECTS.match(self.sql, self._begins())
        return bool(not self.whole and selects and (self.format or "").lower() in _FLOWING)

    def _begins(self) -> int:
        found = _SPACE_AND_COMMENTS.match(self.sql)
        return found.end() if found else 0


@dataclass(frozen=True, slots=True)
class Counts:
    """What the engine counted, as far as it is known."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    elapsed_ns: int = 0


@dataclass(slots=True)
class Answer:
    """An answer, whole or block by block."""

    blocks: Iterator[bytes]
    counts: Counts


class Handle:
    """A connection to the engine, with settings and a database of its own.

    Args:
        folder: The engine's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._connection = connect(str(folder))

    def ask(self, question: Question) -> Answer:
        """Asks; the answer's first block is there when it returns.

        Raises:
            EngineError: If the engine refuses; later blocks raise it too.
        """
        connection = self._connection
        try:
            if question.settings:
                connection.query(_set(question.settings))
            if question.database:
                connection.query(f"USE {_quoted(question.database, '`')}")
            if question.flows:
                found = connection.send_query(
                    question.sql, question.default_format, params=question.parameters
                )
                blocks = _blocks(found)
                first = next(blocks, b"")
                return Answer(_led(first, blocks), Counts())
            if inserts := _INSERT.match(question.sql):
                counts = _insert(connection, inserts[1], inserts[2], question.sql[inserts.end() :])
                return Answer(iter(()), counts)
            found = connection.query(
                question.sql, question.default_format, params=question.parameters
            )
        except (chdb.ChdbError, RuntimeError) as error:
            raise _told(error) from None
        return Answer(iter((found.bytes(),)), _counts(found))

    def close(self) -> None:
        """Gives the connection back."""
        self._connection.close()


def _blocks(stream: Any) -> Iterator[bytes]:
    try:
        for block in stream:
            yield block.bytes()
    except (chdb.ChdbError, RuntimeError) as error:
        raise _told(error) from None
    finally:
        stream.close()


def _led(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """A generator, closed with what it leads."""
    try:
        yield first
        yield from blocks
    finally:
        close = getattr(blocks, "close", None)
        if close is not None:
            close()


def _insert(connection: Any, statement: bytes, shape: bytes, data: bytes) -> Counts:
    with connection.send_insert(statement.decode(), shape.decode()) as inserter:
        inserter.append(data)
        done = inserter.finish()
    return Counts(
        read_rows=done.rows_written,
        read_bytes=done.bytes_written,
        written_rows=done.rows_written,
        written_bytes=done.bytes_written,
        elapsed_ns=int(done.elapsed * 1e9),
    )


def _counts(found: Any) -> Counts:
    return Counts(
        read_rows=found.storage_rows_read(),
        read_bytes=found.storage_bytes_read(),
        written_rows=found.rows_written(),
        written_bytes=found.bytes_written(),
        elapsed_ns=int(found.elapsed() * 1e9),
    )


def _set(settings: Mapping[str, str]) -> str:
    for name in settings:
        if not _NAME.fullmatch(name):
            raise refusal(115, f"Unknown setting '{name}'", "UNKNOWN_SETTING")
    return "SET " + ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items())


def _quoted(text: str, mark: str = "'") -> str:
    escaped = text.replace("\\", "\\\\").replace(mark, f"\\{mark}")
    return f"{mark}{escaped}{mark}"


class Handles:
    """The handles of one folder: a new one for each request, one for each session.

    Args:
        folder: The engine's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # The engine ends with its last handle.
        self._kept = Handle(folder)
        self._guard = threading.Lock()
        self._sessions: dict[str, Handle] = {}
        self._busy: set[str] = set()
        (version,) = self._kept.ask(Question(b"SELECT version(), timezone()")).blocks
        self.version, self.timezone = version.decode().strip().split("\t")

    def take(self, session: str, *, known: bool = False) -> Handle:
        """A handle that nobody else uses.

        Args:
            session: The name of the session; '' for none.
            known: Whether the session must be there already.

        Raises:
            EngineError: If the session is in use, or is not there.
        """
        if not session:
            return Handle(self._folder)
        with self._guard:
            if session in self._busy:
                text = f"Session {session} is locked by a concurrent client."
                raise refusal(373, text, "SESSION_IS_LOCKED")
            if known and session not in self._sessions:
                raise refusal(372, f"Session {session} not found", "SESSION_NOT_FOUND")
            self._busy.add(session)
            if session not in self._sessions:
                self._sessions[session] = Handle(self._folder)
            return self._sessions[session]

    def give(self, session: str, handle: Handle) -> None:
        """Gives a handle back."""
        if session:
            with self._guard:
                self._busy.discard(session)
        else:
            handle.close()

    def close(self) -> None:
        """Ends every session, and the engine."""
        for handle in self._sessions.values():
            handle.close()
        self._kept.close()
