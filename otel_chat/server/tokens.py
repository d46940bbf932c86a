"""Tokens: made, listed, revoked and checked.

A token reads `otc_<id>_<secret>`; the store keeps the SHA-256 of its secret only, so it is shown
once. A token carries permissions and tenants; `*` stands for every tenant.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, Field

from otel_chat.errors import AccessError, ConfigurationError
from otel_chat.server.access import ADMIN, EVERY_TENANT, PERMISSIONS, Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_chat.server.store import Store

CACHE_SECONDS: Final = 5.0
SECRET_BYTES: Final = 32
ID_BYTES: Final = 8


class Token(BaseModel):
    """A token as the store knows it; the secret itself is not kept."""

    id: str = Field(description="The public part of the token, which names it in lists.")
    name: str = Field(description="What its maker called it.")
    scopes: list[str] = Field(description="What it may do.")
    tenants: list[str] = Field(description="The tenants it reaches; `*` stands for every tenant.")
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def active(self, now: datetime) -> bool:
        """Whether the token is neither revoked nor expired at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def scope(self) -> Scope:
        """The scope that the token carries."""
        tenants = None if EVERY_TENANT in self.tenants else frozenset(self.tenants)
        return Scope(tenants, frozenset(self.scopes), self.name)


class NewToken(Token):
    """A token just made, with the only copy of its text."""

    token: str = Field(description="The token itself. It is shown this once and never again.")


_COLUMNS: Final = (
    "id, name, hash, scopes, tenants,"
    " toUnixTimestamp64Milli(toDateTime64(created_at, 3, 'UTC')) AS created_at,"
    " toUnixTimestamp64Milli(toDateTime64(expires_at, 3, 'UTC')) AS expires_at,"
    " toUnixTimestamp64Milli(toDateTime64(revoked_at, 3, 'UTC')) AS revoked_at, version"
)
_INSERT: Final = """
INSERT INTO tokens
    (id, name, hash, scopes, tenants, created_at, expires_at, revoked_at, version)
SELECT {id:String}, {name:String}, {hash:String}, {scopes:Array(String)}, {tenants:Array(String)},
    fromUnixTimestamp64Milli({created_at:Int64}, 'UTC'),
    if({expires_at:Int64} < 0, NULL, fromUnixTimestamp64Milli({expires_at:Int64}, 'UTC')),
    if({revoked_at:Int64} < 0, NULL, fromUnixTimestamp64Milli({revoked_at:Int64}, 'UTC')),
    {version:UInt64}
"""


_FIRST: Final = (
    "No token in force holds admin, and with this one nobody could make or revoke others. Make one"
    " first that does, with the scopes admin and analytics:view; then this one."
)
_LAST: Final = (
    "This is the last token that holds admin: without it nobody could make or revoke others. Make"
    " another one with admin first, then revoke this."
)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _millis(moment: datetime | None) -> int:
    return -1 if moment is None else round(moment.timestamp() * 1000)


def _moment(millis: int | None) -> datetime | None:
    return None if millis is None else datetime.fromtimestamp(millis / 1000, UTC)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Record:
    token: Token
    digest: str
    version: int


class TokenStore:
    """Makes, lists, revokes and checks tokens.

    What is read is kept for a few seconds, so that a token costs no query a request; a change
    made through this object shows at once, one made elsewhere within that time.

    Args:
        store: Where the tokens are.
        now: The present time, for expiry.
        monotonic: A clock in seconds that never goes back, for the cache.
    """

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], datetime] = _utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._records: dict[str, _Record] = {}
        self._stale_at = float("-inf")

    def create(
        self,
        name: str,
        *,
        scopes: Iterable[str],
        tenants: Iterable[str],
        expires_in: timedelta | None = None,
        manageable: bool = False,
    ) -> NewToken:
        """Make a token.

        Args:
            name: What to call it, for the list; not empty.
            scopes: What it may do, at least one of `PERMISSIONS`.
            tenants: The tenants it reaches, at least one; `*` for every tenant.
            expires_in: How long it lives; for ever without.
            manageable: Refuse it where no token in force would hold admin: with the first one
                everything is closed, and nobody could make another.

        Returns:
            The token with its text, which is kept nowhere.

        Raises:
            ConfigurationError: If the name is empty, a scope unknown, no tenant given, or the
                life not positive; or as `manageable` says.
        """
        wanted, reached = sorted(set(scopes)), sorted(set(tenants))
        _check_request(name, wanted, reached, expires_in)
        if manageable and ADMIN not in wanted and not self.managed():
            raise ConfigurationError(_FIRST)
        made = self._now().replace(microsecond=0)
        secret = secrets.token_urlsafe(SECRET_BYTES)
        token = Token(
            id=secrets.token_hex(ID_BYTES),
            name=name,
            scopes=wanted,
            tenants=reached,
            created_at=made,
            expires_at=None if expires_in is None else made + expires_in,
        )
        self._write(_Record(token, _digest(secret), 1))
        return NewToken(**token.model_dump(), token=f"otc_{token.id}_{secret}")

    def list(self) -> list[Token]:
        """Every token, oldest first, the revoked and expired ones among them."""
        found = [record.token for record in self._load(fresh=True).values()]
        return sorted(found, key=lambda token: (token.created_at, token.id))

    def revoke(self, token_id: str, *, manageable: bool = False) -> Token:
        """Revoke a token for good; a second time changes nothing.

        Args:
            token_id: The token.
            manageable: Refuse it where no token in force would hold admin then.

        Raises:
            AccessError: With status 404, if there is no token of that id.
            ConfigurationError: As `manageable` says.
        """
        record = self._load(fresh=True).get(token_id)
        if record is None:
            raise AccessError("There is no token of this id.", status=404)
        if record.token.revoked_at is not None:
            return record.token
        if manageable and self.managed() and not self.managed(without=token_id):
            raise ConfigurationError(_LAST)
        revoked = record.token.model_copy(update={"revoked_at": self._now().replace(microsecond=0)})
        self._write(_Record(revoked, record.digest, record.version + 1))
        return revoked

    def managed(self, *, without: str = "") -> bool:
        """Whether a token holds admin and is in force, beside the one of the id `without`."""
        now = self._now()
        return any(
            ADMIN in record.token.scopes and record.token.active(now)
            for token_id, record in self._load(fresh=True).items()
            if token_id != without
        )

    def exist(self) -> bool:
        """Whether any token was ever made; then nothing is open without one."""
        return bool(self._load())

    def verify(self, text: str) -> Scope | None:
        """The scope of the token `text`, or `None` if it is unknown, expired or revoked."""
        prefix, _, rest = text.partition("_")
        token_id, _, secret = rest.partition("_")
        record = self._load().get(token_id)
        # Compared even when the id is unknown: the time must not tell whether it exists.
        expected = record.digest if record else _digest("")
        matches = hmac.compare_digest(_digest(secret), expected)
        if record is None or not matches or prefix != "otc" or not secret:
            return None
        return record.token.scope() if record.token.active(self._now()) else None

    def _write(self, record: _Record) -> None:
        token = record.token
        self._store.command(
            _INSERT,
            {
                "id": token.id,
                "name": token.name,
                "hash": record.digest,
                "scopes": token.scopes,
                "tenants": token.tenants,
                "created_at": _millis(token.created_at),
                "expires_at": _millis(token.expires_at),
                "revoked_at": _millis(token.revoked_at),
                "version": record.version,
            },
        )
        with self._lock:
            self._stale_at = float("-inf")

    def _load(self, *, fresh: bool = False) -> dict[str, _Record]:
        with self._lock:
            if not fresh and self._monotonic() < self._stale_at:
                return self._records
            rows = self._store.query(f"SELECT {_COLUMNS} FROM tokens FINAL")  # noqa: S608 - a constant
            self._records = {row["id"]: _record(row) for row in rows}
            self._stale_at = self._monotonic() + CACHE_SECONDS
            return self._records


def _record(row: dict[str, Any]) -> _Record:
    token = Token(
        id=row["id"],
        name=row["name"],
        scopes=list(row["scopes"]),
        tenants=list(row["tenants"]),
        created_at=datetime.fromtimestamp(row["created_at"] / 1000, UTC),
        expires_at=_moment(row["expires_at"]),
        revoked_at=_moment(row["revoked_at"]),
    )
    return _Record(token, row["hash"], int(row["version"]))


def _check_request(
    name: str, scopes: list[str], tenants: list[str], expires_in: timedelta | None
) -> None:
    if not name.strip():
        raise ConfigurationError("A token needs a name, so that it can be told from others.")
    unknown = [scope for scope in scopes if scope not in PERMISSIONS]
    if unknown or not scopes:
        message = (
            f"Give scopes out of {', '.join(PERMISSIONS)}; got {', '.join(unknown) or 'none'}."
        )
        raise ConfigurationError(message)
    if not tenants or not all(tenants):
        raise ConfigurationError("A token needs at least one tenant, or * for every tenant.")
    if expires_in is not None and expires_in <= timedelta(0):
        raise ConfigurationError("A token's life must be longer than nothing.")
