"""The one form in which every command and setting names a store."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from otel_chat.errors import ConfigurationError

_FORMS = "chdb:PATH or clickhouse://user:password@host:port/database?cluster=NAME&secure=true"


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """Where a store is.

    Args:
        path: The folder of an embedded store; `None` for a server.
        host: The server's name.
        port: The port of its HTTP interface.
        username: Who signs in.
        password: The password; not in the `repr`.
        database: The database, which must exist.
        cluster: The name of the cluster; '' for a single server.
        secure: Whether HTTPS is spoken.
    """

    path: Path | None = None
    host: str = ""
    port: int = 8123
    username: str = "default"
    password: str = field(default="", repr=False)
    database: str = "default"
    cluster: str = ""
    secure: bool = False

    def __str__(self) -> str:
        """The address without the password."""
        if self.path is not None:
            return f"chdb:{self.path}"
        return f"clickhouse://{self.username}@{self.host}:{self.port}/{self.database}"

    def as_option(self) -> str:
        """The address as it stands in a command, quoted; `PASSWORD` stands for the password.

        Example:
            >>> parse_store_url("clickhouse://me:secret@db/chat?cluster=main").as_option()
            "--store 'clickhouse://me:PASSWORD@db:8123/chat?cluster=main'"
        """
        if self.path is not None:
            return f"--store {shlex.quote(str(self))}"
        who = f"{quote(self.username, safe='')}{':PASSWORD' if self.password else ''}"
        given = {"cluster": self.cluster, "secure": "true" if self.secure else ""}
        options = urlencode({name: value for name, value in given.items() if value})
        address = f"clickhouse://{who}@{self.host}:{self.port}/{self.database}"
        return f"--store {shlex.quote(f'{address}?{options}' if options else address)}"


def parse_store_url(url: str) -> StoreUrl:
    """Reads the address of a store.

    Args:
        url: `chdb:PATH`, or `clickhouse://user:password@host:port/database`, where the options
            `cluster` and `secure` may follow.

    Raises:
        ConfigurationError: If it has another form; the message never repeats a password.

    Example:
        >>> parse_store_url("chdb:./chat-store").path
        PosixPath('chat-store')
        >>> print(parse_store_url("clickhouse://me:secret@db:8123/chat?cluster=main"))
        clickhouse://me@db:8123/chat
    """
    scheme, _, rest = url.partition(":")
    if scheme == "chdb" and rest.removeprefix("//"):
        return StoreUrl(path=Path(rest.removeprefix("//")))
    if scheme != "clickhouse":
        # What stands there may be a whole address with its password.
        raise ConfigurationError(f"store: this is no address of one. Give {_FORMS}.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"store: the address cannot be read. Give {_FORMS}.") from error
    if "@" in f"{parts.path}{parts.query}{parts.fragment}" or parts.fragment:
        # Cut short, the password would be taken for a port and a database, and be shown as such.
        message = "store: write / as %2F, ? as %3F, # as %23 and @ as %40 in user and password."
        raise ConfigurationError(message)
    options = dict(parse_qsl(parts.query))
    if not parts.hostname or not options.keys() <= {"cluster", "secure"}:
        raise ConfigurationError(f"store: no host, or an unknown option. Give {_FORMS}.")
    secure = options.get("secure", "").lower() in {"1", "true", "yes"}
    return StoreUrl(
        host=parts.hostname,
        port=port or (8443 if secure else 8123),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=parts.path.strip("/") or "default",
        cluster=options.get("cluster", ""),
        secure=secure,
    )
