"""What `otel-chat migrate` does: apply, check, show."""

from __future__ import annotations

from contextlib import closing

from otel_chat.server.schema.migrations import render, render_views
from otel_chat.server.store import open_store, parse_store_url


def apply(url: str) -> list[str]:
    """Applies what is pending and says what was done.

    Args:
        url: The store's address.

    Returns:
        Lines to print.

    Raises:
        StoreError: If the store is of a newer release, or an applied migration was changed.
    """
    with closing(open_store(url)) as store:
        pending = store.migrations().state().pending
        store.migrate()
        return [f"applied {s.version} {s.name}" for s in pending] or ["nothing to do"]


def check(url: str) -> list[str]:
    """What keeps a store from being up to date; empty where nothing does.

    Args:
        url: The store's address.
    """
    with closing(open_store(url)) as store:
        state = store.migrations().state()
    return [
        *(f"pending: {step.version} {step.name}" for step in state.pending),
        *(f"changed after it was applied: {step.version} {step.name}" for step in state.changed),
        *(f"of a newer release: {version}" for version in state.newer),
        *(f"missing: table {name}" for name in state.missing),
        *(f"outdated: view {name}" for name in state.outdated),
    ]


def show(url: str) -> str:
    """The DDL for a store, as it would be applied; the store is not opened.

    Args:
        url: The store's address.

    Example:
        >>> "CREATE TABLE IF NOT EXISTS turns " in show("chdb:./anywhere")
        True
    """
    cluster = parse_store_url(url).cluster
    parts = [(f"{step.version} {step.name}", step.statements) for step in render(cluster)]
    parts.append(("views", tuple(view.statement for view in render_views(cluster))))
    return "\n".join(
        f"-- {title}\n" + "\n".join(f"{text};\n" for text in statements)
        for title, statements in parts
    )
