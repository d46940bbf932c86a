"""What the reviewers of a conversation say together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.figures.sql import Query

BETWEEN: Final = ": "
"""What stands between a score and its value in a verdict, as in `resolved: yes`."""
VERDICT: Final = (
    "What reviewers say, as `resolved: yes`: more than half of those who gave the score."
)
_KEY: Final = "tenant, conversation_id"
_OF_SCORE: Final = f"startsWith(w, concat(splitByString('{BETWEEN}', v)[1], '{BETWEEN}'))"


def agreed(query: Query, conditions: Sequence[str] = ()) -> str:
    """A subquery with one row for each conversation that was reviewed.

    It has its tenant and id, `verdicts` (what more than half of those say who gave the score),
    `said` (all that was said), `labels`, `reviewers`, and `reviewed_at`, when the last was.

    Args:
        query: The SELECT that it becomes a part of.
        conditions: Which reviews count.
    """
    read = ("tenant", "conversation_id", "reviewer", "verdicts", "labels", "reviewed_at")
    rows = query.table("reviews", read, ["NOT dropped", *conditions])
    return f"""(
        SELECT {_KEY}, said, labels, reviewers, reviewed_at,
            arrayFilter(v -> 2 * countEqual(said, v) > arrayCount(w -> {_OF_SCORE}, said),
                arrayDistinct(said)) AS verdicts
        FROM (
            SELECT {_KEY}, groupArrayArray(r.verdicts) AS said,
                arraySort(groupUniqArrayArray(r.labels)) AS labels,
                arraySort(groupArray(r.reviewer)) AS reviewers,
                max(r.reviewed_at) AS reviewed_at
            FROM {rows} AS r GROUP BY {_KEY}
        )
    )"""  # noqa: S608
