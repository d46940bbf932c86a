"""What the bot did not understand: messages that matched nothing, or barely, grouped into themes.

Messages are compared by the parts of the words that say what they are about (tf-idf of three to
five letters, as W. B. Cavnar and J. M. Trenkle, N-gram-based text categorization, 1994, so that
"cancelling" is near "cancel"; cosine distance) and joined while the mean distance within a group
stays small (average linkage, as in Sokal and Michener 1958). No number of groups has to be known
before. A theme is named by its medoid: the message that is nearest to all others of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat.errors import ConfigurationError
from otel_chat.server.access import CONVERSATIONS_READ
from otel_chat.server.figures import content
from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.figures import by_bucket, turns_source
from otel_chat.server.figures.plain_words import small_talk, telling
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, moment, nanos, ratio
from otel_chat.server.figures.window import Bucket, Window

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

READ: Final = 5000
DIFFERENT: Final = 1200
MOST: Final = 50
EXAMPLES: Final = 3
FAR: Final = 0.8
_LONGEST: Final = 500
_BLANKS: Final = re.compile(r"\s+")
_DIGITS: Final = re.compile(r"\d+")


class Unanswered(Answer):
    """A message that was not understood."""

    time: datetime
    conversation_id: str
    tenant: str
    trace_id: str
    message: str
    intent: str = Field(description="What it was taken for; empty where for nothing.")
    confidence: float | None


class GuessedIntent(Answer):
    """What messages of a theme were taken for."""

    name: str = Field(description="Empty: no intent matched.")
    turns: int


class Theme(Answer):
    """Messages that ask for much the same."""

    label: str = Field(description="Its most central question, as somebody asked it.")
    asking: str = Field(description="The trace id of that asking, which the theme is named by.")
    turns: int = figure(
        "theme_turns", "{turn}", "Turns with a message of this theme that was not understood."
    )
    previous: int = figure(
        "theme_turns_before",
        "{turn}",
        "Turns of the window before that were not understood and are as near to the theme as its"
        " own are to each other.",
    )
    new: bool = Field(
        description="Whether it was not asked in the window before, of which messages are stored."
    )
    first_at: datetime = Field(description="When it was asked first in the window, UTC.")
    share: float | None = figure(
        "theme_share", "1", "Turns of this theme ÷ all turns that were grouped."
    )
    conversations: int
    fallbacks: int = Field(description="Turns that matched no intent; the others were unsure.")
    intents: list[GuessedIntent] = Field(description="The most frequent first, at most five.")
    examples: list[Unanswered] = Field(description="Different messages, the newest first.")
    trend: list[int] = Field(description="Turns by bucket of time, as in `starts`.")
    askings: list[Unanswered] = Field(
        default=[],
        exclude=True,
        description="The last of each conversation, the newest first.",
    )

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Tenant and id of each of its conversations, by the last asking, the newest first."""
        return [(one.tenant, one.conversation_id) for one in self.askings]


class Themes(Answer):
    """What was not understood, the most frequent theme first."""

    window: TimeSpan
    turns: int = figure(
        "unanswered_turns",
        "{turn}",
        "Turns that matched no intent, or one with a confidence below the threshold.",
    )
    threshold: float = Field(description="A confidence below it is low; a setting of the server.")
    with_text: int = Field(description="Those whose message is stored.")
    small_talk: int = Field(
        description="Turns whose message is but thanks, greetings and the like: in no theme."
    )
    grouped: int = Field(description="Those that were grouped: the newest, where there are many.")
    bucket: Bucket
    starts: list[datetime] = Field(description="The starts of the buckets of the trends, UTC.")
    items: list[Theme] = Field(description=f"At most {MOST}.")
    others: int = Field(description="Turns of themes that are not listed.")


@dataclass(slots=True)
class _Group:
    """Turns whose messages say the same, but for case, numbers and blanks."""

    key: str
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def compared(self) -> str:
        """What is compared: the words that say what it is about, or all where it has none."""
        return " ".join(telling(self.key)) or self.key


@dataclass(frozen=True, slots=True)
class _Cluster:
    """Groups that ask for much the same, the most central of them, and how many asked before."""

    groups: Sequence[_Group]
    central: _Group
    previous: int


@query(CONVERSATIONS_READ)
def unanswered(store: Store, scope: Scope, window: Window, filters: Filters) -> Themes:
    """The messages of the window that were not understood, by theme; for who may read text.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The turns to take.
        filters: What they are limited to.

    Raises:
        ConfigurationError: If the extra `themes` is not installed.
    """
    width = window.bucket()
    starts = window.bucket_starts(width)
    counting = store.submit(_counted, Query(store, scope), window, filters)
    before = store.submit(_newest, Query(store, scope), window.previous(), filters, width)
    groups, courtesies = _alike(scope, _newest(Query(store, scope), window, filters, width))
    earlier, _ = _alike(scope, before.result())
    themes = sorted(
        (_theme(found, len(starts), known=bool(earlier)) for found in _clustered(groups, earlier)),
        key=lambda theme: (-theme.turns, theme.label),
    )
    grouped = sum(theme.turns for theme in themes)
    counted = counting.result()
    listed = [theme.model_copy(update={"share": ratio(theme.turns, grouped)}) for theme in themes]
    return Themes(
        window=TimeSpan.of(window),
        turns=counted.get("turns", 0),
        threshold=store.rules.low_confidence,
        with_text=counted.get("with_text", 0),
        small_talk=courtesies,
        grouped=grouped,
        bucket=width,
        starts=starts,
        items=listed[:MOST],
        others=sum(theme.turns for theme in listed[MOST:]),
    )


_NAMED: Final = (
    "tenant", "conversation_id", "trace_id", "span_id", "start", "intent", "confidence", "fallback",
    "input_messages",
)  # fmt: skip


def _missed(statement: Query) -> str:
    """The condition that a turn was not understood."""
    return f"(ifNull(fallback, false) OR ifNull({statement.store.rules.low}, false))"


def _counted(statement: Query, window: Window, filters: Filters) -> dict[str, Any]:
    missed = _missed(statement)
    source = turns_source(statement, window, filters, ("fallback", "confidence", "input_messages"))
    return statement.one(
        f"SELECT countIf({missed}) AS turns,"  # noqa: S608
        f" countIf({missed} AND input_messages != '') AS with_text FROM {source} AS t"
    )


def _newest(
    statement: Query, window: Window, filters: Filters, width: Bucket
) -> list[dict[str, Any]]:
    """The newest messages that were not understood."""
    rows: list[dict[str, Any]] = []
    for part in window.backwards():
        rows += statement.run(f"""
            SELECT toString(tenant) AS tenant, conversation_id, lower(hex(trace_id)) AS trace,
                {nanos("start")} AS ns, {by_bucket(window, width)(statement, "start")} AS part,
                toString(intent) AS intent, confidence, ifNull(fallback, false) AS missed,
                input_messages
            FROM {turns_source(statement, part, filters, _NAMED)} AS t
            WHERE {_missed(statement)} AND input_messages != ''
            ORDER BY ns DESC, trace, lower(hex(span_id))
            LIMIT {READ - len(rows)}
        """)  # noqa: S608
        if len(rows) == READ:
            break
    return rows


def normal(message: str) -> str:
    """A message as it is compared: without case, accents, numbers and needless blanks.

    Example:
        >>> normal("  Où est ma commande  4711? ")
        'ou est ma commande #?'
    """
    kept = unicodedata.normalize("NFKD", message[:_LONGEST]).casefold()
    if not kept.isascii():
        kept = "".join(one for one in kept if not unicodedata.combining(one))
    return _BLANKS.sub(" ", _DIGITS.sub("#", kept)).strip()


def _alike(scope: Scope, rows: list[dict[str, Any]]) -> tuple[list[_Group], int]:
    """The rows by normal message, the newest of so many different ones; and how much small talk."""
    found: dict[str, _Group] = {}
    courtesies = 0
    for row in rows:
        message = content.user_message(scope, row.pop("input_messages"))
        key = normal(message or "")
        if small_talk(key):
            courtesies += 1
            continue
        if not key or (key not in found and len(found) == DIFFERENT):
            continue
        row["message"] = message
        found.setdefault(key, _Group(key)).rows.append(row)
    return sorted(found.values(), key=lambda group: group.key), courtesies


def _clustered(groups: Sequence[_Group], earlier: Sequence[_Group]) -> list[_Cluster]:
    """Groups that ask for much the same."""
    if not groups:
        return []
    try:
        import numpy as np
        from sklearn.cluster import AgglomerativeClustering
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError as error:
        message = "Themes need the extra 'themes': pip install 'otel-chat[themes]'."
        raise ConfigurationError(message) from error
    parts = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, dtype=np.float32
    )
    matrix = parts.fit_transform([group.compared for group in groups])
    near = (matrix @ matrix.T).toarray()
    if len(groups) == 1:
        labels = np.zeros(1, dtype=int)
    else:
        distances = np.clip(1 - near, 0, 1)
        np.fill_diagonal(distances, 0)
        clustering = AgglomerativeClustering(
            n_clusters=None, metric="precomputed", linkage="average", distance_threshold=FAR
        )
        labels = clustering.fit_predict(distances)
    places = [np.flatnonzero(labels == label) for label in sorted(set(labels.tolist()))]
    weights = np.array([len(group.rows) for group in groups], dtype=np.float32)
    previous = [0] * len(places)
    if earlier:
        others = (parts.transform([group.compared for group in earlier]) @ matrix.T).toarray()
        means = np.stack([others[:, inside].mean(axis=1) for inside in places])
        nearest = zip(earlier, means.argmax(axis=0), means.max(axis=0), strict=True)
        for group, place, alike in nearest:
            if alike >= 1 - FAR:
                previous[place] += len(group.rows)
    made = []
    for inside, before in zip(places, previous, strict=True):
        central = int(inside[(near[np.ix_(inside, inside)] @ weights[inside]).argmax()])
        made.append(_Cluster([groups[int(place)] for place in inside], groups[central], before))
    return made


def _theme(found: _Cluster, buckets: int, *, known: bool) -> Theme:
    groups = found.groups
    rows = [row for group in groups for row in group.rows]
    parts = Counter(row["part"] for row in rows)
    guessed = Counter(row["intent"] for row in rows)
    newest = sorted((group.rows[0] for group in groups), key=_newest_first)
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(rows, key=_newest_first):
        last.setdefault((row["tenant"], row["conversation_id"]), row)
    return Theme(
        label=found.central.rows[0]["message"],
        asking=found.central.rows[0]["trace"],
        turns=len(rows),
        previous=found.previous,
        new=known and not found.previous,
        first_at=moment(min(row["ns"] for row in rows)),
        share=None,
        conversations=len(last),
        fallbacks=sum(row["missed"] for row in rows),
        intents=[
            GuessedIntent(name=name, turns=count)
            for name, count in sorted(guessed.items(), key=lambda one: (-one[1], one[0]))[:5]
        ],
        examples=[_asked(row) for row in newest[:EXAMPLES]],
        trend=[parts.get(number, 0) for number in range(buckets)],
        askings=[_asked(row) for row in last.values()],
    )


def _newest_first(row: dict[str, Any]) -> tuple[int, str]:
    return -row["ns"], row["trace"]


def _asked(row: dict[str, Any]) -> Unanswered:
    return Unanswered(
        time=moment(row["ns"]),
        conversation_id=row["conversation_id"],
        tenant=row["tenant"],
        trace_id=row["trace"],
        message=row["message"],
        intent=row["intent"],
        confidence=row["confidence"],
    )
