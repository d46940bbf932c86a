"""`/api/v1/tokens`: making, listing and revoking tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import Depends, Path, Request
from pydantic import BaseModel, Field

from otel_chat.errors import AccessError
from otel_chat.server.access import Scope
from otel_chat.server.api.errors import BODY_RESPONSES, FOUND_RESPONSES, RESPONSES
from otel_chat.server.api.known import PREFIX
from otel_chat.server.api.parameters import Admin
from otel_chat.server.api.security import access_of, own_router
from otel_chat.server.tokens import NewToken, Token, TokenStore

router = own_router(prefix=f"{PREFIX}/tokens", tags=["tokens"])

Permission = Literal[
    "analytics:view",
    "conversations:read",
    "export:create",
    "admin",
    "ingest:write",
    "feedback:write",
    "metrics:read",
    "marks:write",
]


class TokenRequest(BaseModel):
    """The token to make."""

    name: str = Field(min_length=1, max_length=200, examples=["dashboard"])
    scopes: list[Permission] = Field(min_length=1, examples=[["analytics:view"]])
    tenants: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        min_length=1, max_length=1000, examples=[["default"]], description="`*` for every tenant."
    )
    expires_in_days: float | None = Field(
        default=None, gt=0, le=36_500, description="For ever without.", examples=[90]
    )


class TokenList(BaseModel):
    """The tokens that the caller may manage."""

    items: list[Token]


def tokens_of(request: Request) -> TokenStore:
    """The tokens of the application."""
    return access_of(request).tokens


Tokens = Annotated[TokenStore, Depends(tokens_of)]


def _manages(scope: Scope, token: Token) -> bool:
    return scope.covers(token.tenants)


@router.post("", status_code=201, summary="Make a token", responses=BODY_RESPONSES)
def create(tokens: Tokens, scope: Admin, wanted: TokenRequest) -> NewToken:
    """Make a token for tenants of one's own. Its text is shown this once.

    Raises:
        AccessError: With status 403, if a tenant is not one's own.
        ConfigurationError: If after it nobody could make others: the first one holds admin.
    """
    if not scope.covers(wanted.tenants):
        raise AccessError("A token can reach no tenant that its maker does not.", status=403)
    days = wanted.expires_in_days
    return tokens.create(
        wanted.name,
        scopes=wanted.scopes,
        tenants=wanted.tenants,
        expires_in=None if days is None else timedelta(days=days),
        manageable=True,
    )


@router.get("", summary="List tokens", responses=RESPONSES)
def list_tokens(tokens: Tokens, scope: Admin) -> TokenList:
    """The tokens that reach no tenant but one's own, oldest first, without their texts."""
    return TokenList(items=[token for token in tokens.list() if _manages(scope, token)])


@router.delete("/{token_id}", summary="Revoke a token", responses=FOUND_RESPONSES)
def revoke(tokens: Tokens, scope: Admin, token_id: Annotated[str, Path(max_length=100)]) -> Token:
    """Revoke a token for good.

    Raises:
        AccessError: With status 404, if there is none of this id that one manages.
        ConfigurationError: If it is the last one that holds admin.
    """
    if not any(token.id == token_id and _manages(scope, token) for token in tokens.list()):
        raise AccessError("There is no token of this id.", status=404)
    return tokens.revoke(token_id, manageable=True)
