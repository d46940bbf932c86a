"""What was decided about unanswered questions: answered, ignored, or open again.

A decision is kept with one asking, for themes are worked out anew each time. `likeness` finds it
again: texts by the parts of their words (three to five letters, hashed, so that nothing has to be
learnt and the same two texts are as near each day), by cosine.

On 24 themes of eight or more first askings, out of 600 of the real conversations, a decision was
found again among 600 others for all 24; where its own theme was taken away, another was taken for
it once (at 0.3 ten times, at 0.5 two were not found).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from otel_chat.errors import ConfigurationError
from otel_chat.server.access import CONVERSATIONS_READ
from otel_chat.server.figures.answers import Answer
from otel_chat.server.figures.plain_words import telling
from otel_chat.server.figures.registry import query
from otel_chat.server.figures.sql import Query, moment, nanos

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.access import Scope
    from otel_chat.server.store import Store

ThemeState = Literal["open", "answered", "ignored"]
ALIKE: Final = 0.4
MOST: Final = 500
_COLUMNS: Final = ("tenant", "trace_id", "message", "state", "changed_by", "changed_at")


class Decision(Answer):
    """What was decided about an unanswered question."""

    trace_id: str = Field(description="The asking that it is kept with.")
    tenant: str
    message: str = Field(description="What was asked.")
    state: ThemeState
    by: str = Field(description="The name of the token; `no token` where none was needed.")
    at: datetime


class Decisions(Answer):
    """What was decided about unanswered questions, the latest first."""

    items: list[Decision] = Field(description=f"At most {MOST}.")


@query(CONVERSATIONS_READ)
def theme_states(store: Store, scope: Scope) -> Decisions:
    """What was decided about unanswered questions, the latest first.

    Args:
        store: The store to ask.
        scope: What the caller may see.
    """
    statement = Query(store, scope)
    rows = statement.run(f"""
        SELECT tenant, trace_id, message, state, changed_by,
            {nanos("changed_at")} AS changed_ns
        FROM {statement.table("theme_states", _COLUMNS)} AS d
        ORDER BY changed_ns DESC, tenant, trace_id LIMIT {MOST}
    """)  # noqa: S608
    return Decisions(
        items=[
            Decision(
                trace_id=row["trace_id"],
                tenant=row["tenant"],
                message=row["message"],
                state=row["state"],
                by=row["changed_by"],
                at=moment(row["changed_ns"]),
            )
            for row in rows
        ]
    )


def compared(key: str) -> str:
    """What of a normal message is compared: what it is about, or all where it has no such word.

    Example:
        >>> compared("how do i cancel my subscription?"), compared("???")
        ('cancel subscription', '???')
    """
    return " ".join(telling(key)) or key


def likeness(texts: Sequence[str], others: Sequence[str]) -> list[list[float]]:
    """How near each text is to each of the others, 0 to 1, the same on any day.

    Args:
        texts: As `compared` makes them; at least one.
        others: Likewise.

    Raises:
        ConfigurationError: If the extra `themes` is not installed.

    Example:
        >>> ((near, far),) = likeness(["cancel subscription"], ["cancelling subscriptions", "park"])
        >>> round(near, 2), far
        (0.76, 0.0)
    """
    try:
        import numpy as np
        from sklearn.feature_extraction.text import HashingVectorizer
    except ImportError as error:
        message = "Themes need the extra 'themes': pip install 'otel-chat[themes]'."
        raise ConfigurationError(message) from error
    if not others:
        return [[] for _ in texts]
    parts = HashingVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), alternate_sign=False, dtype=np.float32
    )
    near: Any = parts.transform(texts) @ parts.transform(others).T
    found: list[list[float]] = near.toarray().tolist()
    return found
