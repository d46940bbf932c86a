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
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from otel_chat._common.moments import nanoseconds
from otel_chat.errors import AccessError, ConfigurationError
from otel_chat.server.access import CONVERSATIONS_READ
from otel_chat.server.figures import content
from otel_chat.server.figures.answers import Answer, TimeSpan
from otel_chat.server.figures.figures import turns_source
from otel_chat.server.figures.plain_words import small_talk
from otel_chat.server.figures.registry import figure, query
from otel_chat.server.figures.sql import Query, moment, nanos, ratio
from otel_chat.server.figures.window import EARLIEST, Bucket, Window
from otel_chat.server.questions.theme_states import (
    ALIKE,
    Decision,
    ThemeState,
    compared,
    likeness,
    theme_states,
)

if TYPE_CHECKING:
    from otel_chat.server.access import Scope
    from otel_chat.server.figures.filters import Filters
    from otel_chat.server.store import Store

READ: Final = 20_000
DIFFERENT: Final = 1200
"""So many different messages, the newest, make themes; every other joins the nearest of these."""
MOST: Final = 50
EXAMPLES: Final = 3
FAR: Final = 0.8
BACK: Final = timedelta(days=90)
"""How far before the window it is looked when a question was asked first, at least."""
STATES: Final[tuple[ThemeState, ...]] = ("open", "answered", "ignored")
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
        description="Whether it was asked first in the window, though messages are stored of"
        " before it."
    )
    first_at: datetime = Field(
        description="When it was asked first, UTC, as far back as `looked_back_to`."
    )
    state: ThemeState = Field(
        default="open",
        description="What was decided about it last; answered and ignored ones may still be asked.",
    )
    decision: Decision | None = Field(
        default=None, description="Who decided it when; null where nothing was."
    )
    share: float | None = figure(
        "theme_share", "1", "Turns of this theme ÷ all turns that were grouped."
    )
    conversations: int
    fallbacks: int = Field(description="Turns that matched no intent; the others were unsure.")
    intents: list[GuessedIntent] = Field(description="The most frequent first, at most five.")
    examples: list[Unanswered] = Field(description="Different messages, the newest first.")
    trend: list[int] = Field(description="Turns by bucket of time, as in `starts`.")
    keys: list[tuple[str, str]] = Field(
        default=[],
        exclude=True,
        description="Tenant and id of each of its conversations, that which asked last first.",
    )


class OneTheme(Answer):
    """A question that was not answered, and the conversations in which it was asked."""

    window: TimeSpan
    question: str = Field(description="Its most central asking.")
    asking: str = Field(description="The trace id of that.")
    tenant: str
    state: ThemeState
    decision: Decision | None
    theme: Theme | None = Field(
        description="Null where nobody in the window asked it without being understood."
    )
    conversations: list[Unanswered] = Field(
        description="The last asking of each conversation of the theme, the newest first."
    )


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
    grouped: int = Field(
        description=f"Those that are in a theme. The newest {DIFFERENT:,} different messages make"
        f" themes; of others, {READ:,} at most, those that are near enough join one."
    )
    bucket: Bucket
    starts: list[datetime] = Field(description="The starts of the buckets of the trends, UTC.")
    looked_back_to: datetime = Field(
        description="Messages from here on were looked at for when a question was asked first:"
        f" {BACK.days} days before the window or its own length, or fewer where there are many."
    )
    themes: int = Field(description="Themes in all, of the states that were asked for.")
    by_state: dict[ThemeState, int] = Field(description="Themes of each state.")
    items: list[Theme] = Field(description=f"At most {MOST}, from `offset` on.")
    others: int = Field(description="Turns of themes that are not listed.")


@dataclass(slots=True)
class _Group:
    """Turns whose messages say the same, but for case, numbers and blanks."""

    key: str
    compared: str
    rows: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Cluster:
    """Groups that ask for much the same, and who asked before.

    Args:
        core: Those that make the theme.
        central: The most central of them.
        joined: Others that are near enough.
        earlier: Such of before the window.
    """

    core: Sequence[_Group]
    central: _Group
    joined: Sequence[_Group]
    earlier: Sequence[_Group]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All its turns, the newest first."""
        rows = [row for groups in (self.core, self.joined) for one in groups for row in one.rows]
        return sorted(rows, key=_newest_first)

    @property
    def last(self) -> list[dict[str, Any]]:
        """The last turn of each conversation, the newest first."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for row in self.rows:
            found.setdefault((row["tenant"], row["conversation_id"]), row)
        return list(found.values())


@query(CONVERSATIONS_READ)
def unanswered(
    store: Store,
    scope: Scope,
    window: Window,
    filters: Filters,
    states: Sequence[ThemeState] = STATES,
    offset: int = 0,
) -> Themes:
    """The messages of the window that were not understood, by theme; for who may read text.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The turns to take.
        filters: What they are limited to.
        states: Themes of these states only.
        offset: How many themes to pass over.

    Raises:
        ConfigurationError: If the extra `themes` is not installed.
    """
    counting = store.submit(_counted, Query(store, scope), window, filters)
    found = _worked_out(store, scope, window, filters)
    counted = counting.result()
    wanted = [theme for theme in found.themes if theme.state in states]
    listed = wanted[offset : offset + MOST]
    return Themes(
        window=TimeSpan.of(window),
        turns=counted.get("turns", 0),
        threshold=store.rules.low_confidence,
        with_text=counted.get("with_text", 0),
        small_talk=found.courtesies,
        grouped=found.grouped,
        bucket=window.bucket(),
        starts=window.bucket_starts(window.bucket()),
        looked_back_to=found.since,
        themes=len(wanted),
        by_state={state: sum(theme.state == state for theme in found.themes) for state in STATES},
        items=listed,
        others=found.grouped - sum(theme.turns for theme in listed),
    )


@query(CONVERSATIONS_READ)
def one_theme(
    store: Store, scope: Scope, window: Window, filters: Filters, trace_id: str
) -> OneTheme:
    """The theme of an asking, with its conversations; for who may read text.

    Args:
        store: The store to ask.
        scope: What the caller may see.
        window: The turns to take.
        filters: What they are limited to.
        trace_id: An asking of it, or that with which something was decided about it.

    Raises:
        AccessError: With status 404, if it is neither.
        ConfigurationError: If the extra `themes` is not installed.
    """
    found = _worked_out(store, scope, window, filters)
    decided = next((one for one in found.decisions if one.trace_id == trace_id), None)
    themes = zip(found.clusters, found.themes, strict=True)
    for cluster, theme in themes:
        asked = any(row["trace"] == trace_id for row in cluster.rows)
        if asked or (decided is not None and theme.decision == decided):
            return OneTheme(
                window=TimeSpan.of(window),
                question=theme.label,
                asking=theme.asking,
                tenant=cluster.central.rows[0]["tenant"],
                state=theme.state,
                decision=theme.decision,
                theme=theme,
                conversations=[_asked(row) for row in cluster.last],
            )
    if decided is None:
        raise AccessError("No question that was not answered was asked in this trace.", status=404)
    return OneTheme(
        window=TimeSpan.of(window),
        question=decided.message,
        asking=trace_id,
        tenant=decided.tenant,
        state=decided.state,
        decision=decided,
        theme=None,
        conversations=[],
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """Everything that was worked out of the messages of a window."""

    clusters: Sequence[_Cluster]
    themes: Sequence[Theme]
    decisions: Sequence[Decision]
    courtesies: int
    grouped: int
    since: datetime


def _worked_out(store: Store, scope: Scope, window: Window, filters: Filters) -> _Found:
    """All themes of a window, the most frequent first."""
    back = replace(
        window, start=max(window.start - max(window.length, BACK), EARLIEST), end=window.start
    )
    before = store.submit(_newest, Query(store, scope), back, filters)
    deciding = store.submit(theme_states, store, scope)
    groups, courtesies = _alike(scope, _newest(Query(store, scope), window, filters))
    read = before.result()
    earlier, _ = _alike(scope, read)
    clusters = sorted(
        _clustered(groups, earlier),
        key=lambda one: (-len(one.rows), one.central.rows[0]["message"]),
    )
    decisions = deciding.result().items
    decided = _decided(clusters, decisions)
    starts = [nanoseconds(start) for start in window.bucket_starts(window.bucket())]
    made = [
        _theme(one, starts, nanoseconds(window.previous().start), decision, known=bool(earlier))
        for one, decision in zip(clusters, decided, strict=True)
    ]
    grouped = sum(theme.turns for theme in made)
    shared = [theme.model_copy(update={"share": ratio(theme.turns, grouped)}) for theme in made]
    return _Found(
        clusters,
        shared,
        decisions,
        courtesies,
        grouped,
        # Of so many none is older than the last that was read.
        moment(read[-1]["ns"]) if len(read) == READ else back.start,
    )


def _decided(clusters: Sequence[_Cluster], decisions: Sequence[Decision]) -> list[Decision | None]:
    """The latest decision about each theme; each belongs to the theme that it is nearest to."""
    found: list[Decision | None] = [None] * len(clusters)
    if not clusters or not decisions:
        return found
    near = likeness(
        [compared(normal(decision.message)) for decision in decisions],
        [group.compared for cluster in clusters for group in cluster.core],
    )
    for decision, row_of in zip(decisions, near, strict=True):  # the latest first
        each = iter(row_of)
        means = [sum(next(each) for _ in cluster.core) / len(cluster.core) for cluster in clusters]
        place = max(range(len(means)), key=means.__getitem__)
        theirs = any(row["tenant"] == decision.tenant for row in clusters[place].rows)
        if means[place] >= ALIKE and found[place] is None and theirs:
            found[place] = decision
    return found


_NAMED: Final = (
    "tenant", "conversation_id", "trace_id", "span_id", "start", "intent", "confidence", "fallback",
    "input_messages",
)  # fmt: skip


def _counted(statement: Query, window: Window, filters: Filters) -> dict[str, Any]:
    held = statement.store.rules.unsure
    source = turns_source(statement, window, filters, ("fallback", "confidence", "input_messages"))
    return statement.one(
        f"SELECT countIf({held}) AS turns,"  # noqa: S608
        f" countIf({held} AND input_messages != '') AS with_text FROM {source} AS t"
    )


def _newest(statement: Query, window: Window, filters: Filters) -> list[dict[str, Any]]:
    """The newest messages that were not understood."""
    rows: list[dict[str, Any]] = []
    for part in window.backwards():
        rows += statement.run(f"""
            SELECT toString(tenant) AS tenant, conversation_id, lower(hex(trace_id)) AS trace,
                {nanos("start")} AS ns, toString(intent) AS intent, confidence,
                ifNull(fallback, false) AS missed, input_messages
            FROM {turns_source(statement, part, filters, _NAMED)} AS t
            WHERE {statement.store.rules.unsure} AND input_messages != ''
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
    """The rows by normal message, the newest first; and how much small talk."""
    found: dict[str, _Group] = {}
    courtesies = 0
    for row in rows:
        message = content.user_message(scope, row.pop("input_messages"))
        key = normal(message or "")
        row["message"] = message
        if key in found:
            found[key].rows.append(row)
        elif small_talk(key):
            courtesies += 1
        elif key:
            found[key] = _Group(key, compared(key), [row])
    return list(found.values()), courtesies


def _clustered(asked: Sequence[_Group], earlier: Sequence[_Group]) -> list[_Cluster]:
    """Groups that ask for much the same; those of before the window beside them."""
    if not asked:
        return []
    try:
        import numpy as np
        from scipy.sparse import csr_matrix
        from sklearn.cluster import AgglomerativeClustering
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError as error:
        message = "Themes need the extra 'themes': pip install 'otel-chat[themes]'."
        raise ConfigurationError(message) from error
    groups = sorted(asked[:DIFFERENT], key=lambda group: group.key)
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
    places = [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]
    # The mean of what is near to each of a theme is what is near to their mean.
    shares = np.array([1 / len(places[label]) for label in labels], dtype=np.float32)
    inside = csr_matrix((shares, (labels, np.arange(len(groups)))))
    means = (inside @ matrix).T

    def joined(others: Sequence[_Group]) -> list[list[_Group]]:
        """Those of others that are near enough to each theme, to the nearest alone."""
        found: list[list[_Group]] = [[] for _ in places]
        if others:
            alike = (parts.transform([group.compared for group in others]) @ means).toarray()
            nearest = alike.argmax(axis=1).tolist()
            for group, place, most in zip(others, nearest, alike.max(axis=1), strict=True):
                if most >= 1 - FAR:
                    found[place].append(group)
        return found

    weights = np.array([len(group.rows) for group in groups], dtype=np.float32)
    made = []
    beside = zip(places, joined(asked[DIFFERENT:]), joined(earlier), strict=True)
    for members, others, before in beside:
        central = int(members[(near[np.ix_(members, members)] @ weights[members]).argmax()])
        core = [groups[int(place)] for place in members]
        made.append(_Cluster(core, groups[central], others, before))
    return made


def _theme(
    found: _Cluster,
    starts: Sequence[int],
    before: int,
    decision: Decision | None,
    *,
    known: bool,
) -> Theme:
    rows = found.rows
    earlier = [row["ns"] for group in found.earlier for row in group.rows]
    parts = Counter(bisect_right(starts, row["ns"]) - 1 for row in rows)
    guessed = Counter(row["intent"] for row in rows)
    groups = (*found.core, *found.joined)
    newest = sorted((group.rows[0] for group in groups), key=_newest_first)
    keys = [(row["tenant"], row["conversation_id"]) for row in found.last]
    return Theme(
        label=found.central.rows[0]["message"],
        asking=found.central.rows[0]["trace"],
        turns=len(rows),
        previous=sum(ns >= before for ns in earlier),
        new=known and not earlier,
        first_at=moment(min([*earlier, *(row["ns"] for row in rows)])),
        state=decision.state if decision else "open",
        decision=decision,
        share=None,
        conversations=len(keys),
        fallbacks=sum(row["missed"] for row in rows),
        intents=[
            GuessedIntent(name=name, turns=count)
            for name, count in sorted(guessed.items(), key=lambda one: (-one[1], one[0]))[:5]
        ],
        examples=[_asked(row) for row in newest[:EXAMPLES]],
        trend=[parts.get(number, 0) for number in range(len(starts))],
        keys=keys,
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
