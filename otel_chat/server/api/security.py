"""The dependencies by which a route says what it asks of its caller."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from otel_chat.errors import AccessError
from otel_chat.server.access import FEEDBACK_WRITE, INGEST_WRITE, Access, IngestGrant, Scope
from otel_chat.server.api.known import FEEDBACK, PREFIX, check_parameters

COOKIE: Final = "otel_chat_token"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK: Final = re.compile(r"(localhost|127\.0\.0\.1|\[(::1)\])(?::[0-9]{1,5})?", re.ASCII)
_PASSED_ON: Final = frozenset({"forwarded", "via", "x-real-ip"})

_bearer = HTTPBearer(auto_error=False, description="A token: `otc_<id>_<secret>`.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def access_of(request: Request) -> Access:
    """The application's `Access`."""
    access: Access = request.app.state.access
    return access


def addressed(request: Request) -> str | None:
    """The name of this machine that a request addressed, if it came straight from here.

    What the header says is taken as it stands: a name that cannot be read is no name of ours, and
    what a proxy passes on comes from somebody else.
    """
    headers = request.headers
    if any(name in _PASSED_ON or name.startswith("x-forwarded") for name in headers):
        return None
    hosts = headers.getlist("host")
    found = _LOOPBACK.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
    return found and (found[2] or found[1])


def from_here(request: Request) -> bool | None:
    """Whether a page of this site sent a request; `None` where no browser says so."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site == "same-origin"
    if origin is not None:
        return origin.partition("://")[2].lower() == request.headers.get("host", "").lower()
    return None


async def not_from_elsewhere(request: Request) -> None:
    """Refuses what another site has a browser send, with its cookie or where no token is needed.

    Raises:
        AccessError: With status 403.
    """
    headers = request.headers
    # A token in the header is sent by whoever knows it, and asked for before by every browser.
    if request.method in _SAFE or "authorization" in headers or from_here(request) is not False:
        return
    if headers.get("sec-fetch-site") == "none":  # the reader's own doing, and no page's
        return
    allowed = request.app.state.settings.cors_origins
    if request.url.path == FEEDBACK and headers.get("origin") in allowed:
        return
    raise AccessError("Another site may not change this.", status=403)


def own_router(prefix: str = PREFIX, **options: Any) -> APIRouter:
    """A router whose routes refuse what another site has a browser send.

    Its routes have their whole address, so that the application takes them as they are: to include
    a router builds each of its routes anew, which takes a second for all.

    Args:
        prefix: What the addresses of its routes begin with.
        options: What FastAPI's `APIRouter` takes beside.

    Example:
        >>> own_router(tags=["overview"]).prefix
        '/api/v1'
    """
    return APIRouter(prefix=prefix, dependencies=[Depends(not_from_elsewhere)], **options)


def token_of(
    request: Request, credentials: HTTPAuthorizationCredentials | None, *, cookie: bool = True
) -> str | None:
    """The token of a request: of its header, else of the web page's cookie where that counts."""
    if credentials is not None:
        return credentials.credentials
    return request.cookies.get(COOKIE) if cookie else None


class Needs:
    """A dependency that lets a request through if its scope holds one permission.

    Args:
        permission: What the caller must be allowed to do.
        cookie: Whether the cookie of the signed-in web page counts beside the header. Routes
            that change something take the header only, which no other site can send.

    Example:
        >>> Needs("analytics:view").permission
        'analytics:view'
    """

    def __init__(self, permission: str, *, cookie: bool = True) -> None:
        self.permission = permission
        self._cookie = cookie

    async def __call__(self, request: Request, credentials: Credentials) -> Scope:
        """The scope of the request, if it holds the permission.

        Raises:
            AccessError: With status 401 without a valid token, 403 without the permission.
            QueryError: If a parameter is given that the address does not know.
        """
        token = token_of(request, credentials, cookie=self._cookie)
        # Not among the threads of the queries: slow ones would hold up every caller.
        scope = await asyncio.to_thread(
            access_of(request).authenticate, token, host=addressed(request)
        )
        request.state.scope = scope  # pages say who is signed in, also where this is not theirs
        scope.require(self.permission)
        check_parameters(request)  # after access: nobody else learns what there is
        return scope


needs_ingest: Final = Needs(INGEST_WRITE, cookie=False)


async def ingest_grant(scope: Annotated[Scope, Depends(needs_ingest)]) -> IngestGrant:
    """The tenants that the sender of telemetry may write to."""
    return IngestGrant(scope.tenants)


needs_feedback: Final = Needs(FEEDBACK_WRITE, cookie=False)


async def feedback_grant(scope: Annotated[Scope, Depends(needs_feedback)]) -> IngestGrant:
    """The tenants that the sender of feedback may write to."""
    return IngestGrant(scope.tenants)


Grant = Annotated[IngestGrant, Depends(ingest_grant)]
FeedbackGrant = Annotated[IngestGrant, Depends(feedback_grant)]
