"""The analytics store: opened by its address, migrated, asked and written."""

from __future__ import annotations

from otel_chat.server.schema.migrations import Migrations
from otel_chat.server.store.engine import Engine, Parameters
from otel_chat.server.store.url import StoreUrl, parse_store_url

__all__ = ["Parameters", "Store", "StoreUrl", "open_store", "parse_store_url"]


class Store(Engine):
    """An open store."""

    def migrations(self) -> Migrations:
        """Its schema: what is applied, and what is pending."""
        return Migrations(self, cluster=self.url.cluster)

    def migrate(self) -> None:
        """Applies every pending migration.

        Raises:
            StoreError: If an applied migration was changed since, or one fails.
        """
        self.migrations().apply()


def open_store(url: str) -> Store:
    """Opens the store at an address.

    Args:
        url: `chdb:PATH`, or `clickhouse://user:password@host:port/database`.

    Returns:
        The store; closing it is the caller's.

    Raises:
        ConfigurationError: If the address has another form.
        StoreLockedError: If another process holds the embedded store.
        StoreUnavailableError: If the server does not answer.
    """
    return Store(parse_store_url(url))
