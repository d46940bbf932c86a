"""Scheduled exports: Parquet by kind and day, where something changed since it was written last.

Each day has a fingerprint of its rows. Where that differs from the one that its files were written
of, the files of the day are written anew: late turns, outcomes that are known by now, corrected
intents and erasures all reach them. A day is claimed before it is written (`report.claims`), so of
several servers one writes it. The manifest comes last: what it names is there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from otel_chat._version import __version__
from otel_chat.errors import ConfigurationError, OtelChatError
from otel_chat.server.access import (
    ANALYTICS_VIEW,
    CONVERSATIONS_READ,
    EVERY_TENANT,
    EXPORT_CREATE,
    Scope,
)
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.questions import exports
from otel_chat.server.questions.scheduled import File, files, rows_by_day
from otel_chat.server.questions.segments import conditions_of
from otel_chat.server.report.claims import Claims, Task
from otel_chat.server.report.definition import filters_of, last_time
from otel_chat.server.summaries.lease import Lease
from otel_chat.server.targets import target_of

if TYPE_CHECKING:
    from otel_chat.server.questions.exports import Export
    from otel_chat.server.settings import ServerSettings
    from otel_chat.server.store import Store
    from otel_chat.server.targets import Target

_log = logging.getLogger("otel_chat.server")

SCHEMA: Final = 1
"""Counts up when a column of an export changes its meaning or its type."""
MANIFEST: Final = "manifest.json"
DAY: Final = timedelta(days=1)
STALE: Final = timedelta(minutes=15)
"""A claim that is older has no answer any more; to write again does no harm."""
_WRITERS: Final[Mapping[Export, Callable[..., Iterator[bytes]]]] = {
    "sessions": exports.export_sessions,
    "messages": exports.export_messages,
    "analytics": exports.export_analytics,
    "interactions": exports.export_interactions,
    "events": exports.export_events,
}


def path_of(kind: str, day: date) -> str:
    """Where the rows of a day are.

    Example:
        >>> path_of("sessions", date(2026, 11, 10))
        'sessions/day=2026-11-10/sessions.parquet'
    """
    return f"{kind}/day={day:%Y-%m-%d}/{kind}.parquet"


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Exporter:
    """Writes what changed, when that is due or somebody asks.

    Args:
        store: What is exported.
        settings: Where to, when, and what of it.
        as_of: Says up to when conversations are complete.
        now: The present time.
        grace: How long a claim waits for others, in seconds; see `Claims`.
        holder: What this server is called in claims; another after each start.
    """

    store: Store
    settings: ServerSettings
    as_of: Callable[[], datetime | None]
    now: Callable[[], datetime] = _utc_now
    grace: float | None = None
    holder: str = field(default_factory=lambda: str(uuid.uuid4()))
    _lease: Lease = field(init=False)
    _claims: Claims = field(init=False)
    _done: datetime | None = field(init=False, default=None)
    _one_at_a_time: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._lease = Lease(self.store, "exports")
        self._claims = Claims(self.store, self.holder, self.now, self.grace)
        if self.target is not None:
            self._check()

    def _check(self) -> None:
        name = "exports_schedule"
        try:
            last_time(self.settings.exports_schedule, self.now())
            name = "exports_filters"
            filters_of(self.settings.exports_filters)
        except ValueError as error:
            message = f"{name} (OTEL_CHAT_SERVER_{name.upper()}): {error}"
            raise ConfigurationError(message) from error

    @property
    def target(self) -> Target | None:
        """Where exports go; None where nowhere.

        Raises:
            ConfigurationError: If it is a bucket, and what that needs is not set.
        """
        return target_of(self.store, self.settings)

    @property
    def scope(self) -> Scope:
        """What is exported: all tenants, what was said only where that is set."""
        texts = {CONVERSATIONS_READ} if self.settings.exports_texts else set()
        return Scope(None, frozenset({ANALYTICS_VIEW, EXPORT_CREATE} | texts))

    def tick(self) -> None:
        """Writes what is due; what fails is told in the log, and tried again."""
        try:
            if not self._lease.held():
                return
            due = last_time(self.settings.exports_schedule, self.now())
            if self._done is not None and due <= self._done:
                return
            self.run()
            self._done = due
        except OtelChatError as error:
            _log.warning("The scheduled exports were not written: %s", error)

    def leave(self) -> None:
        """Lets another server take over at once.

        Raises:
            StoreError: If the store does not answer.
        """
        self._lease.give_up()

    def files(self) -> list[File]:
        """What was written last of each kind and day, the newest day first."""
        target = self.target
        return [] if target is None else files(self.store, self.scope, target.name)

    def run(self) -> list[File]:
        """Writes every day of the last `exports_days` whose rows changed since it was written.

        Returns:
            What was written now.

        Raises:
            TargetError: If something could not be written; what was before it is.
        """
        with self._one_at_a_time:
            target = self.target
            if target is None:
                return []
            filters = Filters.given(
                self.settings.exports_filters, conditions_of(self.store, lambda: self.scope)
            )
            known = {(one.kind, one.day): one for one in files(self.store, self.scope, target.name)}
            written: list[File] = []
            try:
                for day, mark in self._fingerprints(filters, known).items():
                    for kind in self.settings.exports_kinds:
                        before = known.get((kind, day))
                        if before is None or before.fingerprint != mark:
                            written += self._write(target, kind, day, mark, filters)
            finally:
                if written:
                    self._tell(target)
            return written

    def _fingerprints(self, filters: Filters, known: Iterable[tuple[str, date]]) -> dict[date, str]:
        """A mark of each day that has rows, or had some when it was written, as is known."""
        today = self.now().astimezone(UTC).date()
        first = today - timedelta(days=self.settings.exports_days - 1)
        window = self._window(first, today + DAY)
        rows = rows_by_day(self.store, self.scope, window)
        days = {*rows, *(day for _, day in known if day >= first)}
        shown = [
            SCHEMA, str(filters.tree), self.settings.exports_texts,
            *([column.name for column in exports.columns_of(kind)] for kind in _WRITERS),
        ]  # fmt: skip
        return {
            day: hashlib.sha256(json.dumps([shown, rows.get(day)]).encode()).hexdigest()[:32]
            for day in sorted(days)
        }

    def _window(self, first: date, after: date) -> Window:
        midnight = datetime.min.time()
        return Window(
            datetime.combine(first, midnight, UTC),
            datetime.combine(after, midnight, UTC),
            self.now(),
            timedelta(seconds=self.settings.idle_seconds),
            as_of=self.as_of(),
        )

    def _write(
        self, target: Target, kind: Export, day: date, mark: str, filters: Filters
    ) -> list[File]:
        """Writes the rows of a day, unless another server does."""
        task = Task(EVERY_TENANT, f"exports/{kind}", f"{day} {mark}", target.name)
        for run in self._claims.told(task):
            if run.state in {"claimed", "unknown"} and _utc_now() - run.claimed_at > STALE:
                self._claims.settle(run, "failed", "The server stopped before it was written.")
        claimed = self._claims.claim(task)
        if claimed is None:
            return []
        window = self._window(day, day + DAY)
        try:
            rows = _WRITERS[kind](self.store, self.scope, window, filters, "parquet")
            content = b"".join(rows)
            target.put(path_of(kind, day), content)
        except OtelChatError as error:
            self._claims.settle(claimed, "failed", str(error))
            raise
        except BaseException:
            self._claims.settle(claimed, "failed", "The server failed; its log says how.")
            raise
        made = File(
            kind=kind,
            day=day,
            fingerprint=mark,
            bytes=len(content),
            digest=hashlib.sha256(content).hexdigest(),
            as_of=window.as_of,
            written_at=_utc_now(),
        )
        self._note(target, made)
        self._claims.settle(claimed, "sent", f"{len(content)} bytes")
        return [made]

    def _note(self, target: Target, made: File) -> None:
        row: dict[str, Any] = {
            **made.model_dump(exclude={"as_of"}),
            "target": target.name,
            "as_of": "" if made.as_of is None else made.as_of.isoformat(),
            "version": time.time_ns(),
        }
        self.store.insert_rows("export_files", [row])

    def _tell(self, target: Target) -> None:
        """Writes the manifest of all that is there."""
        kinds: dict[str, Any] = {}
        for one in sorted(self.files(), key=lambda one: (one.kind, one.day)):
            names = [column.name for column in exports.columns_of(one.kind)]
            about = kinds.setdefault(one.kind, {"columns": names, "files": []})
            about["files"].append(
                {
                    "day": f"{one.day}",
                    "path": path_of(one.kind, one.day),
                    "bytes": one.bytes,
                    "sha256": one.digest,
                    "as_of": None if one.as_of is None else one.as_of.isoformat(),
                    "written_at": one.written_at.isoformat(),
                }
            )
        told = {
            "schema": SCHEMA,
            "made_by": f"otel-chat {__version__}",
            "written_at": _utc_now().isoformat(),
            "filters": self.settings.exports_filters,
            "kinds": kinds,
        }
        target.put(MANIFEST, json.dumps(told, indent=1).encode())
