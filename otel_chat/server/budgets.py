"""Budgets: what the models may cost in a day or a month, overall, by agent or by tenant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST: Final = 20
"""Budgets of a server: each is a label of the gauges for Prometheus."""


class Budget(BaseModel):
    """A budget of a calendar day or month, in UTC.

    Args:
        name: What it is called, 1 to 60 characters.
        usd: How much may be spent, US dollars, more than 0.
        period: `day` or `month`.
        agent: Of this agent alone.
        tenant: Of this tenant alone.

    Example:
        >>> Budget(name="support", usd=20, period="day", agent="support").usd
        Decimal('20')
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=60)]
    usd: Annotated[Decimal, Field(gt=0, le=1_000_000_000)]
    period: Literal["day", "month"]
    agent: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    tenant: Annotated[str, Field(min_length=1, max_length=256)] | None = None

    def bounds(self, now: datetime) -> tuple[datetime, datetime]:
        """The first moment of the present period, and the first after it.

        Example:
            >>> month = Budget(name="all", usd=900, period="month")
            >>> [m.isoformat() for m in month.bounds(datetime(2026, 12, 24, 18, tzinfo=UTC))]
            ['2026-12-01T00:00:00+00:00', '2027-01-01T00:00:00+00:00']
        """
        start = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self.period == "day":
            return start, start + timedelta(days=1)
        first = start.replace(day=1)
        return first, (first + timedelta(days=31)).replace(day=1)

    def visible(self, tenants: frozenset[str] | None) -> bool:
        """Whether somebody who sees these tenants, or all, may see it."""
        return tenants is None or self.tenant in tenants
