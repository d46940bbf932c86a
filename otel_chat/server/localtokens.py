"""Tokens of a store that no server holds, for the command line."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from otel_chat.server.store import open_store
from otel_chat.server.tokens import TokenStore


class LocalTokens:
    """Opens a store and manages its tokens: a context manager.

    Whoever can open the store needs no token for that: this is how the first one is made.

    Args:
        store: The store's URL.

    Raises:
        StoreLockedError: (on entering) a server holds the store; ask it with `--server`.
    """

    def __init__(self, store: str) -> None:
        self._url = store
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        opened = self._stack.enter_context(contextlib.closing(open_store(self._url)))
        opened.migrate()
        self._tokens = TokenStore(opened)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def create_token(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Makes a token.

        Args:
            wanted: `name`, `scopes`, `tenants` and, if it shall expire, `expires_in_days`;
                `without_admin` where the first one need not hold admin.

        Raises:
            ConfigurationError: a scope is unknown, something is missing, or after it nobody could
                make others.
        """
        days = wanted.get("expires_in_days")
        made = self._tokens.create(
            wanted["name"],
            scopes=wanted["scopes"],
            tenants=wanted["tenants"],
            expires_in=None if days is None else timedelta(days=days),
            manageable=not wanted.get("without_admin"),
        )
        return made.model_dump(mode="json")

    def tokens(self) -> list[dict[str, Any]]:
        """All tokens, without their texts."""
        return [token.model_dump(mode="json") for token in self._tokens.list()]

    def revoke_token(self, token_id: str) -> dict[str, Any]:
        """Revokes a token for good.

        Raises:
            AccessError: with status 404 when there is no such token.
            ConfigurationError: it is the last one that holds admin.
        """
        return self._tokens.revoke(token_id, manageable=True).model_dump(mode="json")
