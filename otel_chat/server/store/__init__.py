"""The analytics store: opened by its address, migrated, asked and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

from otel_chat.server.rules import Rules
from otel_chat.server.schema.migrations import Migrations
from otel_chat.server.store.engine import Engine, Parameters
from otel_chat.server.store.parallel import Parallel
from otel_chat.server.store.url import StoreUrl, parse_store_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["Parameters", "Store", "StoreUrl", "open_store", "parse_store_url"]


class Store(Engine):
    """An open store.

    Args:
        url: Where it is.

    Attributes:
        rules: Those that its conversations are worked out by, and questions answered.
    """

    def __init__(self, url: StoreUrl) -> None:
        self.rules = Rules()
        self._parallel = Parallel()
        super().__init__(url)

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Calls a function that asks the store, while the caller asks it something else.

        Args:
            function: What to call, in another thread.
            args: With what.
            kwargs: And with what by name.

        Returns:
            What it returns or raises; called from such a thread itself, it raises at once.
        """
        return self._parallel.call(function, *args, **kwargs)

    def close(self) -> None:
        """Closes it, when what is asked in parallel is answered."""
        self._parallel.close()
        super().close()

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
