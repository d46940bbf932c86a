"""A store in which what was inserted is settled before it is asked about."""

from __future__ import annotations

import contextlib
import re
import threading
from typing import TYPE_CHECKING, Any, Final

from otel_chat.server.store import Store
from otel_chat.server.summaries.settler import Settler

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_chat.server.store import Parameters, StoreUrl

_RAW: Final = re.compile(r"\b(INSERT INTO|DELETE FROM|ALTER TABLE) (turns|events|spans)\b")
_DERIVED: Final = re.compile(r"\b(conversations|turn_quarters|turn_hours|call_hours)\b")


class SettledStore(Store):
    """A store whose summaries are up to date whenever a question reads them.

    So a test says what is given and what is to be found, and no more. A test of the settler does
    it itself, `by_hand`.
    """

    def __init__(self, url: StoreUrl) -> None:
        self._settles = True
        self._settler = Settler(self)
        self._stale = False
        self._settling = threading.Lock()
        self._here = threading.local()
        super().__init__(url)

    def query(self, sql: str, parameters: Parameters = None) -> list[dict[str, Any]]:
        """Settles first, if it is about summaries."""
        self._settle(sql)
        return super().query(sql, parameters)

    def stream(self, sql: str, parameters: Parameters = None, *, fmt: str) -> Iterator[bytes]:
        """Settles first, if it is about summaries."""
        self._settle(sql)
        return super().stream(sql, parameters, fmt=fmt)

    def command(self, sql: str, parameters: Parameters = None) -> object:
        """Notes what has to be settled."""
        done = super().command(sql, parameters)
        self._stale = self._stale or bool(_RAW.search(sql))
        return done

    def insert_otlp(self, table: str, block: bytes, *, message: str) -> None:
        """Notes that something has to be settled."""
        super().insert_otlp(table, block, message=message)
        self._stale = True

    def insert_rows(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Notes what has to be settled."""
        super().insert_rows(table, rows)
        self._stale = self._stale or table in {"turns", "events", "spans"}

    @contextlib.contextmanager
    def by_hand(self) -> Iterator[None]:
        """Settles nothing by itself meanwhile; whoever settled for an earlier test has ended."""
        self._settles = False
        with self._settling:
            pass
        yield
        self._settles = True

    def _settle(self, sql: str) -> None:
        # What the settler asks is about summaries too.
        inside = getattr(self._here, "settling", False)
        if inside or not self._settles or not _DERIVED.search(sql):
            return
        with self._settling:
            if self._stale and self._settles:
                self._stale = False
                self._here.settling = True
                try:
                    self._settler.settle()
                finally:
                    self._here.settling = False
