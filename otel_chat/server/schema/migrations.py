"""Numbered migrations: rendered for one server or a cluster, applied once, checked for changes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Final, Protocol

from jinja2 import DictLoader, Environment, StrictUndefined

from otel_chat import _dialects as dialects
from otel_chat import semconv
from otel_chat.errors import ConfigurationError, StoreError

_MACROS: Final = (
    "{%- from 'macros' import table, view, events_text, of_day, dimensions, attributes, any_value,"
    " text_maps, scalar_text, text, first_text, count, tokens, number, seconds, ratio, flag, money,"
    " moment, without with context -%}"
)
_TEXT: Final = re.compile(
    r"\{\{ (?:text|count|number|seconds|ratio|flag|money|rounded_money)\(n\.(\w+)\) \}\}"
)
_CLUSTER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


class Database(Protocol):
    """What migrations need of a store."""

    def query(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> list[dict[str, Any]]:
        """The rows that a SELECT returns."""

    def command(self, sql: str, parameters: Mapping[str, object] | None = None) -> object:
        """What a statement that returns at most one value returns."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema.

    Args:
        version: Its number, from 1.
        name: What it is called.
        statements: Its statements, in order.
    """

    version: int
    name: str
    statements: tuple[str, ...]

    @property
    def checksum(self) -> str:
        """What tells whether it was changed after it was applied."""
        return hashlib.sha256(";\n".join(self.statements).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class View:
    """A view that fills a table.

    Args:
        base: What it is called, whatever its text.
        name: The same with a mark of its text.
        statement: What makes it.
    """

    base: str
    name: str
    statement: str


@dataclass(frozen=True, slots=True)
class State:
    """Where a store stands.

    Args:
        applied: The migrations that are in force.
        pending: Those that are not yet.
        changed: Applied ones whose text is another today.
        newer: Versions in the store that this release does not know.
        missing: Tables and views that should be there and are not.
        outdated: Views of another text than today's.
    """

    applied: tuple[Migration, ...]
    pending: tuple[Migration, ...]
    changed: tuple[Migration, ...]
    newer: tuple[int, ...]
    missing: tuple[str, ...]
    outdated: tuple[str, ...]

    @property
    def current(self) -> bool:
        """Whether nothing is to be done."""
        return not (self.pending or self.changed or self.newer or self.missing or self.outdated)


def _names_read(source: str, view: str) -> list[str]:
    body = source.split(view, 1)[1].split(";", 1)[0]
    return sorted({str(getattr(semconv, name)) for name in _TEXT.findall(body)})


def render(cluster: str = "") -> tuple[Migration, ...]:
    """The migrations, for one server or for a cluster.

    Args:
        cluster: The cluster's name; '' for an embedded store or a single server.

    Raises:
        ConfigurationError: If the name has other characters than letters, digits, `_`, `.`, `-`.

    Example:
        >>> [step.name for step in render()][:2]
        ['tables', 'ingest']
        >>> "ReplicatedReplacingMergeTree" in render("main")[0].statements[0]
        True
    """
    environment = _environment(cluster)
    steps = []
    for entry in sorted(files(__package__).joinpath("sql").iterdir(), key=lambda item: item.name):
        number, _, name = entry.name.removesuffix(".sql").partition("_")
        text = _rendered(environment, entry.read_text(encoding="utf-8"))
        steps.append(Migration(int(number), name, _statements(text)))
    return tuple(steps)


def render_views(cluster: str = "") -> tuple[View, ...]:
    """The views that fill the tables, for one server or for a cluster.

    Args:
        cluster: As `render` takes it.

    Raises:
        ConfigurationError: As `render` does.

    Example:
        >>> render_views()[0].base
        'traces_in_to_spans_in'
    """
    source = files(__package__).joinpath("views.sql").read_text(encoding="utf-8")
    found = []
    for statement in _statements(_rendered(_environment(cluster), source)):
        (base,) = _made(statement)
        mark = hashlib.sha256(statement.encode()).hexdigest()[:8]
        name = f"{base}_{mark}"
        found.append(View(base, name, statement.replace(base, name, 1)))
    return tuple(found)


def _environment(cluster: str) -> Environment:
    if cluster and not _CLUSTER.fullmatch(cluster):
        raise ConfigurationError(f"store: {cluster!r} is no name of a cluster.")
    macros = files(__package__).joinpath("macros.jinja").read_text(encoding="utf-8")
    environment = Environment(
        undefined=StrictUndefined,
        loader=DictLoader({"macros": macros}),
        autoescape=False,  # noqa: S701 - it writes SQL, no HTML
    )
    environment.globals.update(
        n=semconv,
        d=dialects,
        cluster=cluster,
        on_cluster=f" ON CLUSTER '{cluster}'" if cluster else "",
        local="_local" if cluster else "",
        engine="ReplicatedReplacingMergeTree" if cluster else "ReplacingMergeTree",
    )
    return environment


def _rendered(environment: Environment, source: str) -> str:
    lists = {}
    if "events_in_to_events" in source and "turn_columns" in source:
        lists = {
            "turn_columns": [*_names_read(source, "spans_in_to_turns"), semconv.TURN_ROOT],
            "event_columns": _names_read(source, "events_in_to_events"),
        }
    return environment.from_string(_MACROS + source).render(**lists)


def _statements(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";\n") if part.strip())


class Migrations:
    """The migrations of one store.

    Args:
        database: The store.
        cluster: The cluster's name; '' for none.
    """

    def __init__(self, database: Database, *, cluster: str = "") -> None:
        self._database = database
        self._cluster = cluster
        self.steps = render(cluster)
        self.views = render_views(cluster)

    def state(self) -> State:
        """Where the store stands; changes nothing."""
        tables = self._tables()
        checksums: dict[int, str] = {}
        if "migrations" in tables:
            rows = self._database.query("SELECT version, checksum FROM migrations FINAL")
            checksums = {int(row["version"]): str(row["checksum"]) for row in rows}
        known = {step.version for step in self.steps}
        applied = tuple(step for step in self.steps if step.version in checksums)
        expected: set[str] = set()
        for statement in (text for step in applied for text in step.statements):
            expected = expected.union(_made(statement)).difference(_dropped(statement))
        if applied:
            expected |= {view.name for view in self.views}
        return State(
            applied=applied,
            pending=tuple(step for step in self.steps if step.version not in checksums),
            changed=tuple(s for s in applied if s.checksum != checksums[s.version]),
            newer=tuple(sorted(checksums.keys() - known)),
            missing=tuple(sorted(expected - tables)),
            outdated=self._outdated(tables),
        )

    def _tables(self) -> set[str]:
        rows = self._database.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase()"
        )
        return {str(row["name"]) for row in rows}

    def _outdated(self, tables: set[str]) -> tuple[str, ...]:
        """Views of ours with another text; other views of a shared database are not ours."""
        bases = "|".join(re.escape(view.base) for view in self.views)
        ours = re.compile(rf"(?:{bases})_[0-9a-f]{{8}}")
        kept = {view.name for view in self.views}
        return tuple(sorted(name for name in tables - kept if ours.fullmatch(name)))

    def apply(self) -> None:
        """Applies what is pending, in order, and makes changed views anew.

        Running it again changes nothing.

        Raises:
            StoreError: If the store is of a newer release, or an applied migration was changed.
        """
        self._database.command(self._ledger())
        state = self.state()
        if state.newer:
            message = f"The store has migration {state.newer[-1]}, of a newer release of otel-chat."
            raise StoreError(message)
        if state.changed:
            message = f"Migration {state.changed[0].version} was changed after it was applied."
            raise StoreError(message)
        for step in state.pending:
            for statement in step.statements:
                self._database.command(statement)
            self._database.command(
                "INSERT INTO migrations (version, name, checksum, applied_at) SELECT"
                " {version:UInt32}, {name:String}, {checksum:String},"
                " parseDateTimeBestEffort({now:String})",
                {
                    "version": step.version,
                    "name": step.name,
                    "checksum": step.checksum,
                    "now": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"),
                },
            )

        tables = self._tables()
        for view in self.views:
            if view.name not in tables:
                self._database.command(view.statement)
        on_cluster = f" ON CLUSTER '{self._cluster}'" if self._cluster else ""
        for name in self._outdated(tables):
            self._database.command(f"DROP VIEW IF EXISTS {name}{on_cluster}")

    def _ledger(self) -> str:
        on_cluster = f" ON CLUSTER '{self._cluster}'" if self._cluster else ""
        engine = "ReplicatedReplacingMergeTree" if self._cluster else "ReplacingMergeTree"
        return (
            f"CREATE TABLE IF NOT EXISTS migrations{on_cluster} (version UInt32, name String,"
            " checksum String, applied_at DateTime('UTC'))"
            f" ENGINE = {engine} ORDER BY version"
        )


def _dropped(statement: str) -> list[str]:
    return re.findall(r"DROP (?:TABLE|VIEW) IF EXISTS (\w+)", statement)


def _made(statement: str) -> list[str]:
    return re.findall(r"CREATE (?:TABLE|MATERIALIZED VIEW) IF NOT EXISTS (\w+)", statement)
