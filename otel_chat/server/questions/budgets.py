"""What has been spent of each budget."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from otel_chat.server.access import Scope
from otel_chat.server.figures.figures import conditions_on_turns
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query
from otel_chat.server.figures.sums import added, sums, whole
from otel_chat.server.figures.window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from otel_chat.server.budgets import Budget
    from otel_chat.server.store import Store

EARLY: Final = 0.1
"""The share of a period before which its pace says nothing."""
_COST: Final = ("sum_cost", "unpriced_turns")
_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Spending:
    """A budget, and what was spent of it.

    Args:
        budget: The budget.
        start: The first moment of its present period.
        end: The first moment after that.
        spent: Cost of the turns that started since, US dollars.
        unpriced_turns: Turns since whose cost nobody knows.
        pace: What the whole period will cost if it goes on so; None in its first tenth.
    """

    budget: Budget
    start: datetime
    end: datetime
    spent: Decimal
    unpriced_turns: int
    pace: Decimal | None

    @property
    def share(self) -> float:
        """What was spent ÷ the budget."""
        return float(self.spent / self.budget.usd)


@query()
def spendings(
    store: Store, scope: Scope, now: datetime, budgets: Sequence[Budget]
) -> list[Spending]:
    """What has been spent of those budgets that the caller may see, each in its present period.

    Args:
        store: The store to ask.
        scope: What the caller may see: a budget of a tenant is for those who see it, any other for
            those who see all tenants.
        now: When the question is asked.
        budgets: The budgets.
    """
    return [_spending(store, scope, now, one) for one in budgets if one.visible(scope.tenants)]


def _spending(store: Store, scope: Scope, now: datetime, budget: Budget) -> Spending:
    start, end = budget.bounds(now)
    if budget.tenant is not None:
        scope = Scope(frozenset({budget.tenant}), scope.permissions)
    statement = Query(store, scope)
    window = Window(start, max(now, start + _INSTANT), now)
    filters = Filters(agent=budget.agent)
    source = sums(statement, "turns", conditions_on_turns(statement, window, filters), whole, _COST)
    row = statement.one(f"SELECT {added(_COST)} FROM {source} AS t")  # noqa: S608
    spent = Decimal(row["sum_cost"] or 0)
    passed = (now - start) / (end - start)
    return Spending(
        budget=budget,
        start=start,
        end=end,
        spent=spent,
        unpriced_turns=int(row["unpriced_turns"] or 0),
        pace=spent / Decimal(passed) if passed >= EARLY else None,
    )
