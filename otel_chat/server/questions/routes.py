"""Turns by their route and the status code that it answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.figures import distribution_sql, turns_source
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query, ratio
from otel_chat.server.figures.window import Window
from otel_chat.server.rules import RESPONSE_TIME

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

LEVELS: Final = (0.5, 0.95)
MOST: Final = 100


class Route(Answer):
    """The turns of a route that were answered with one status code."""

    route: str = Field(description="Empty where it is not known.")
    status_code: int | None
    turns: int
    errors: int
    error_rate: float | None
    mean: float | None = Field(description="Response time, seconds.")
    p50: float | None
    p95: float | None


class Routes(Answer):
    """By route and status code, the most frequent first."""

    window: TimeSpan
    items: list[Route] = Field(description=f"At most {MOST}.")


@query()
def routes(store: Store, scope: Scope, window: Window, filters: Filters) -> Routes:
    """Turns by route and status code.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The turns to take.
        filters: What they are limited to.
    """
    statement = Query(store, scope)
    columns = ("route", "http_status", f"{RESPONSE_TIME} AS response_time", "status")
    rows = statement.run(f"""
        SELECT toString(route) AS name, http_status, count() AS turns,
            countIf(status = 'error') AS errors,
            {distribution_sql("response", "response_time", LEVELS)}
        FROM {turns_source(statement, window, filters, columns)} AS t
        GROUP BY name, http_status
        ORDER BY turns DESC, name, http_status
        LIMIT {MOST}
    """)  # noqa: S608
    return Routes(window=TimeSpan.of(window), items=[_route(row) for row in rows])


def _route(row: dict[str, Any]) -> Route:
    p50, p95 = row["response_q"]
    return Route(
        route=row["name"],
        status_code=row["http_status"],
        turns=row["turns"],
        errors=row["errors"],
        error_rate=ratio(row["errors"], row["turns"]),
        mean=row["response_mean"],
        p50=p50,
        p95=p95,
    )
