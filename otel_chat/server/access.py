"""Who may ask for what: permissions, scopes and how a request comes by its scope."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from otel_chat.errors import AccessError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_chat.server.tokens import TokenStore

ANALYTICS_VIEW: Final = "analytics:view"
CONVERSATIONS_READ: Final = "conversations:read"
EXPORT_CREATE: Final = "export:create"
ADMIN: Final = "admin"
INGEST_WRITE: Final = "ingest:write"
FEEDBACK_WRITE: Final = "feedback:write"
METRICS_READ: Final = "metrics:read"
MARKS_WRITE: Final = "marks:write"
PERMISSIONS: Final = (
    ANALYTICS_VIEW,
    CONVERSATIONS_READ,
    EXPORT_CREATE,
    ADMIN,
    INGEST_WRITE,
    FEEDBACK_WRITE,
    METRICS_READ,
    MARKS_WRITE,
)

EVERY_TENANT: Final = "*"
DEFAULT_TENANT: Final = "default"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a caller may see and do.

    Args:
        tenants: The tenants whose data it may see; `None` for every tenant.
        permissions: What it may do, of `PERMISSIONS`.
        name: The name of the token that it comes from; empty where none was needed.

    Example:
        >>> viewer = Scope(frozenset({"acme"}), frozenset({"analytics:view"}))
        >>> viewer.allows("export:create")
        False
    """

    tenants: frozenset[str] | None
    permissions: frozenset[str]
    name: str = field(default="", compare=False)

    @property
    def who(self) -> str:
        """What it is called where its doing is kept.

        Example:
            >>> Scope(None, frozenset(), "Ana").who, Scope(None, frozenset()).who
            ('Ana', 'no token')
        """
        return self.name or "no token"

    def allows(self, permission: str) -> bool:
        """Whether the scope holds `permission`."""
        return permission in self.permissions

    def require(self, permission: str) -> None:
        """Refuse a caller without `permission`.

        Raises:
            AccessError: With status 403.
        """
        if permission not in self.permissions:
            message = f"This needs a token with the scope {permission}."
            raise AccessError(message, status=403)

    def tenants_of(self, tenant: str | None) -> frozenset[str] | None:
        """The tenants of the scope that a request is about; None for every tenant.

        Args:
            tenant: The one that it names; None for all of the scope.

        Example:
            >>> Scope(frozenset({"acme"}), frozenset()).tenants_of("another")
            frozenset()
        """
        if tenant is None:
            return self.tenants
        return frozenset({tenant} if self.covers({tenant}) else ())

    def covers(self, tenants: Iterable[str]) -> bool:
        """Whether all of `tenants` (`*` for every tenant) lie within the scope."""
        return self.tenants is None or self.tenants.issuperset(tenants)

    def keeper(self, named: str | None, of_all: str) -> str:
        """The tenant under which something is kept.

        Args:
            named: The one that was asked for; without, the first by name.
            of_all: Instead of that first one, for who sees every tenant.

        Raises:
            AccessError: With status 403, if it is not one of the scope, or that has none.

        Example:
            >>> Scope(frozenset({"b", "a"}), frozenset()).keeper(None, "default")
            'a'
        """
        if named is not None:
            if not self.covers([named]):
                raise AccessError("The token does not reach this tenant.", status=403)
            return named
        if self.tenants is None:
            return of_all
        if not self.tenants:
            raise AccessError("The token reaches no tenant.", status=403)
        return min(self.tenants)


OPEN: Final = Scope(tenants=None, permissions=frozenset(PERMISSIONS))


@dataclass(frozen=True, slots=True)
class IngestGrant:
    """The tenants that a sender of telemetry may write to.

    Args:
        tenants: The tenants of its token; `None` for every tenant.

    Example:
        >>> IngestGrant(frozenset({"acme"})).tenant_for(None)
        'acme'
        >>> IngestGrant(None).tenant_for(None)
        'default'
    """

    tenants: frozenset[str] | None

    @property
    def fixed(self) -> str | None:
        """The only tenant that may be written, or `None` where the telemetry chooses."""
        if self.tenants is not None and len(self.tenants) == 1:
            return next(iter(self.tenants))
        return None

    def tenant_for(self, named: str | None) -> str:
        """The tenant to store telemetry under that names `named` (or none).

        Raises:
            AccessError: With status 403, if the telemetry names a tenant outside the grant, or
                none although several are possible.
        """
        if self.tenants is None:
            return named or DEFAULT_TENANT
        if not named:
            if (fixed := self.fixed) is not None:
                return fixed
            message = "The token may write several tenants: set the attribute otel_chat.tenant."
            raise AccessError(message, status=403)
        if named not in self.tenants:
            raise AccessError("The token may not write this tenant.", status=403)
        return named


LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Access:
    """Decides what a request may do.

    Args:
        tokens: The tokens of the store.
        loopback: Whether the server listens on this machine alone. Then, as long as no token was
            ever made, everything is open to callers who address it by a loopback name; a name
            of another site, bent to 127.0.0.1, is not one.
    """

    def __init__(self, tokens: TokenStore, *, loopback: bool) -> None:
        self.tokens = tokens
        self._loopback = loopback

    def authenticate(self, token: str | None, *, host: str | None) -> Scope:
        """The scope of a request.

        Args:
            token: The token that came with it, if any.
            host: The host name that it addressed.

        Raises:
            AccessError: With status 401, if there is no valid token and none may be missing.
        """
        if token:
            scope = self.tokens.verify(token)
            if scope is None:
                raise AccessError("The token is unknown, expired or revoked.", status=401)
            return scope
        if self._loopback and host in LOOPBACK_NAMES and not self.tokens.exist():
            return OPEN
        raise AccessError("A token is needed: send 'Authorization: Bearer otc_...'.", status=401)
