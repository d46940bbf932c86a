"""The one form in which every command and setting names a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

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
        raise ConfigurationError(f"store: unknown form {scheme!r}. Give {_FORMS}.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"store: the address cannot be read. Give {_FORMS}.") from error
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
