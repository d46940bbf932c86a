"""Where reports of one's own are: kept in the store, or provisioned as files of a folder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_chat._common import text_files
from otel_chat.errors import AccessError, ConfigurationError, QueryError
from otel_chat.server.access import (
    ANALYTICS_VIEW,
    CONVERSATIONS_READ,
    EVERY_TENANT,
    EXPORT_CREATE,
    Scope,
)
from otel_chat.server.questions.reports import stored_reports
from otel_chat.server.report.definition import ReportDefinition, read_definition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_chat.server.store import Store

SUFFIXES: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Report:
    """A report of one's own, and whose it is.

    Args:
        definition: What it is.
        tenant: Whose figures it tells; `*` for those of all.
        texts: Whether it may tell what was said.
        saved_at: When it was saved; None of a file.
        file: The file that it comes from; empty of one that the store keeps.
    """

    definition: ReportDefinition
    tenant: str
    texts: bool
    saved_at: datetime | None = None
    file: str = ""

    @property
    def scope(self) -> Scope:
        """What it may see when the server makes it."""
        tenants = None if self.tenant == EVERY_TENANT else frozenset({self.tenant})
        may = {ANALYTICS_VIEW} | ({CONVERSATIONS_READ} if self.texts else set())
        return Scope(tenants, frozenset(may))

    def seen_by(self, scope: Scope) -> Scope:
        """What it may show to a reader: what both may see."""
        return Scope(self.scope.tenants, scope.permissions)


class Shelf:
    """All reports of a server.

    Args:
        store: Where reports are kept.
        folder: The folder with those that are provisioned; None without one.
    """

    def __init__(self, store: Store, folder: Path | None) -> None:
        self._store = store
        self._folder = folder

    def reports(self, scope: Scope) -> list[Report]:
        """The reports that a caller sees, by name; of those that cannot be read none.

        Args:
            scope: What the caller may see.
        """
        found = [one for one in self.provisioned()[0] if scope.covers([one.tenant])]
        names = {(one.tenant, one.definition.name) for one in found}
        for kept in stored_reports(self._store, scope).items:
            if (kept.tenant, kept.name) not in names:
                # What an older release saved may be refused by this one.
                try:
                    definition = read_definition(kept.definition, kept.name)
                except ConfigurationError:
                    continue
                found.append(Report(definition, kept.tenant, kept.texts, kept.saved_at))
        return sorted(found, key=lambda one: (one.definition.name.lower(), one.tenant))

    def report(self, scope: Scope, name: str, tenant: str | None = None) -> Report:
        """The report of a name.

        Args:
            scope: What the caller may see.
            name: What it is called.
            tenant: Whose it is, where several have one of this name.

        Raises:
            AccessError: With status 404, if there is none.
        """
        for one in self.reports(scope):
            if one.definition.name == name and tenant in {None, one.tenant}:
                return one
        raise AccessError("There is no report of this name.", status=404)

    def provisioned(self) -> tuple[list[Report], list[str]]:
        """The reports of the folder, and what is wrong with its files, each in a line."""
        found: list[Report] = []
        wrong: list[str] = []
        for path in sorted(self._files()):
            try:
                one = read_file(path)
            except ConfigurationError as error:
                wrong.append(str(error))
                continue
            if any(_same(one, other) for other in found):
                name = one.definition.name
                wrong.append(f"{path.name}: another file has a report named {name!r}.")
            else:
                found.append(one)
        return found, wrong

    def _files(self) -> Iterator[Path]:
        if self._folder is not None and self._folder.is_dir():
            yield from (path for path in self._folder.iterdir() if path.suffix in SUFFIXES)

    def save(self, scope: Scope, definition: ReportDefinition, tenant: str | None = None) -> Report:
        """Keep a report, in place of another of its name.

        Args:
            scope: Who keeps it; needs export:create. What was said is in it only if its keeper
                may read that.
            definition: What it is.
            tenant: Whose figures it tells; without, the caller's: all that it sees, if that is
                every tenant, else the first by name.

        Raises:
            AccessError: Without the scope, or for a tenant that is not its own.
            QueryError: If a file provides a report of this name.
        """
        scope.require(EXPORT_CREATE)
        made = self.drafted(scope, definition, tenant)
        self._refuse_provisioned(made)
        self._write(made, dropped=False)
        return made

    def drafted(
        self, scope: Scope, definition: ReportDefinition, tenant: str | None = None
    ) -> Report:
        """A report as `save` would keep it.

        Args:
            scope: Who would keep it.
            definition: What it is.
            tenant: As for `save`.

        Raises:
            AccessError: For a tenant that is not the caller's own.
        """
        whose = scope.keeper(tenant, EVERY_TENANT)
        return Report(definition, whose, scope.allows(CONVERSATIONS_READ), datetime.now(UTC))

    def drop(self, scope: Scope, name: str, tenant: str | None = None) -> Report:
        """Forget a report.

        Args:
            scope: Who forgets it; needs export:create.
            name: What it is called.
            tenant: Whose it is, where several have one of this name.

        Raises:
            AccessError: Without the scope, or with status 404, if there is none.
            QueryError: If a file provides it.
        """
        scope.require(EXPORT_CREATE)
        found = self.report(scope, name, tenant)
        self._refuse_provisioned(found)
        self._write(found, dropped=True)
        return found

    def _refuse_provisioned(self, wanted: Report) -> None:
        for one in self.provisioned()[0]:
            if _same(one, wanted):
                message = f"The file {one.file} provides this report: change it there."
                raise QueryError(message, field="name")

    def _write(self, one: Report, *, dropped: bool) -> None:
        row = {
            "tenant": one.tenant,
            "name": one.definition.name,
            "definition": one.definition.model_dump_json(exclude_unset=True),
            "texts": one.texts,
            "dropped": dropped,
            "saved_at": one.saved_at,
            "version": time.time_ns(),
        }
        self._store.insert_rows("reports", [row])


def _same(one: Report, other: Report) -> bool:
    return (one.tenant, one.definition.name) == (other.tenant, other.definition.name)


def parse(text: str, where: str) -> dict[str, Any]:
    """The fields that YAML, of which JSON is a part, holds.

    Raises:
        ConfigurationError: If it is no YAML, or no fields.

    Example:
        >>> parse("name: Weekly", "weekly.yaml")
        {'name': 'Weekly'}
    """
    import yaml

    try:
        # Aliases make much out of little.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ConfigurationError(f"{where}: aliases (*name) are not read here.")
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where}: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{where}: a report has fields, at least its name.")
    return found


def read_file(path: Path) -> Report:
    """The report of a file: a definition, and beside it `tenant` and `texts`.

    Args:
        path: YAML.

    Raises:
        ConfigurationError: If it cannot be read; names the file, the field and how to mend it.
    """
    try:
        text = text_files.read(path)
    except text_files.UNREADABLE as error:
        raise ConfigurationError(f"{path.name}: {error}") from error
    given = parse(text, path.name)
    tenant, texts = given.pop("tenant", EVERY_TENANT), given.pop("texts", False)
    if not isinstance(tenant, str) or not tenant:
        raise ConfigurationError(f"{path.name}: tenant: it is a name, or '*' for all tenants.")
    if not isinstance(texts, bool):
        raise ConfigurationError(f"{path.name}: texts: it is true or false.")
    return Report(read_definition(given, path.name), tenant, texts, file=path.name)
