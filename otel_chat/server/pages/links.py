"""Addresses of pages: the filters stay in them, so that any view can be shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from otel_chat.server.episodes import Episode
from otel_chat.server.figures.fields import UNLIMITED, field_and_operator
from otel_chat.server.figures.filters import OF_TREES, Filters, Limit
from otel_chat.server.figures.where import Every
from otel_chat.server.figures.window import DEFAULT_WINDOW

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

TIMES: Final = ("window", "from", "to")
OF_A_PAGE: Final = frozenset({"cursor", "turn", "tenant", "id", "episode", "view", "asking"})
"""Parameters that belong to one page and do not travel to others."""
LIST: Final = "/conversations"
TURN_LIST: Final = "/turns"
REVIEW: Final = "/review"
QUEUE: Final = "/review/queue"
GIVEN_UP: Final = ("abandoned", "failed")
"""The outcomes of conversations that ended without an answer."""
OF_THE_LIST: Final = frozenset({"search", "sort", "column"})
"""What a list is asked alone; that of conversations travels to a conversation and back."""
OF_A_SHEET: Final = frozenset(
    (
        "timezone", "at", "by", "a", "b", "from_b", "to_b", "planned", "sender", "resolved", "name",
        "show", "skip",
        "resolution_margin", "satisfaction_margin", "p95_margin",
    )
)  # fmt: skip
"""What one page of figures is asked and no other; it stays there."""
CHOSEN: Final = ("agent", "channel", "model", "prompt", "user_type", "outcome", "segment")
"""The filters that every page has a field for."""
OF_THE_LIST_CHOSEN: Final = ("tag", "reviewed")
"""Those that the list of conversations has one for beside."""
_STEPS: Final = frozenset({".", ".."})


@dataclass(frozen=True, slots=True)
class View:
    """What a reader looks at: the filters of the present page.

    Args:
        path: The page's path.
        parameters: Names and values of its filters, in the order of the address.

    Example:
        >>> view = View("/", (("window", "7d"), ("agent", "support")))
        >>> view.with_times("24h"), view.at("/conversations")
        ('/?agent=support&window=24h', '/conversations?window=7d&agent=support')
    """

    path: str
    parameters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, path: str, query: QueryParams) -> View:
        """The view of a request."""
        kept = [
            (name, value)
            for name, value in query.multi_items()
            if name not in OF_A_PAGE and name != UNLIMITED
        ]
        return cls(path, tuple(kept))

    def value(self, name: str) -> str:
        """The value of a filter; empty where it is not set."""
        return next((value for known, value in self.parameters if known == name), "")

    def values(self, name: str) -> list[str]:
        """All values of a parameter that may come several times."""
        return [value for known, value in self.parameters if known == name]

    def at(self, path: str, **extra: str) -> str:
        """The address of another page with the same filters."""
        return _address(path, [*self._for(path), *extra.items()])

    def narrowed(self, path: str, **values: str | Sequence[str]) -> str:
        """The address of another page with these filters instead of those of the same names.

        Example:
            >>> View("/", (("intent", "greet"), ("agent", "a"))).narrowed("/x", intent="bye")
            '/x?agent=a&intent=bye'
        """
        kept = [(name, value) for name, value in self._for(path) if name not in values]
        return _address(path, [*kept, *values.items()])

    def narrowed_here(self, path: str, **values: str) -> str:
        """The same for an address that belongs to this page: what only it asks goes along.

        Example:
            >>> View("/exports", (("timezone", "UTC"),)).narrowed_here("/x", format="csv")
            '/x?timezone=UTC&format=csv'
        """
        return _address(path, [*self.hidden(*OF_THE_LIST, *values), *values.items()])

    def conversation(
        self,
        conversation_id: str,
        tenant: str | None,
        turn: str | None = None,
        cursor: str | None = None,
    ) -> str:
        """The address of a conversation, from which the way back leads to the same filters."""
        carried = self._for(LIST)
        if cursor is not None:
            carried = [*carried, ("cursor", cursor)]
        return conversation(conversation_id, tenant=tenant, turn=turn, carried=carried)

    def reading(self, conversation_id: str, tenant: str | None) -> str:
        """The address of a conversation as the reading pane shows it.

        Example:
            >>> View("/conversations", (("window", "7d"),)).reading("a/b", None)
            '/reading?window=7d&id=a%2Fb'
        """
        of_tenant = [] if tenant is None else [("tenant", tenant)]
        return _address("/reading", [*self._for(LIST), ("id", conversation_id), *of_tenant])

    def reviewing(self, conversation_id: str, tenant: str | None) -> str:
        """The address of a conversation in the queue of what is reviewed under these filters.

        Example:
            >>> View("/conversations", (("window", "7d"),)).reviewing("a/b", None)
            '/review/queue?window=7d&id=a%2Fb'
        """
        of_tenant = [] if tenant is None else [("tenant", tenant)]
        return _address(QUEUE, [*self._for(QUEUE), ("id", conversation_id), *of_tenant])

    def without_values(self, *names: str) -> View:
        """The same view without these parameters."""
        return View(self.path, tuple(self.hidden(*names)))

    def within(
        self, path: str, start: datetime, end: datetime, **values: str | Sequence[str]
    ) -> str:
        """The address of another page with the same filters, for [start, end).

        Args:
            path: The page.
            start: The first moment.
            end: The first moment after it.
            values: Filters instead of those of the same names.

        Example:
            >>> noon = datetime(2026, 3, 4, 12, tzinfo=UTC)
            >>> View("/", (("window", "7d"),)).within("/x", noon, noon.replace(hour=13))
            '/x?from=2026-03-04T12%3A00%3A00Z&to=2026-03-04T13%3A00%3A00Z'
        """
        kept = [(n, value) for n, value in self._for(path) if n not in (*TIMES, *values)]
        times = [("from", written(start)), ("to", written(end))]
        return _address(path, [*kept, *times, *values.items()])

    def with_times(self, window: str) -> str:
        """The address of this page with another window."""
        others = [(name, value) for name, value in self.parameters if name not in TIMES]
        return _address(self.path, [*others, ("window", window)])

    def without(self, *names: str) -> str:
        """The address of this page without these filters."""
        kept = [(name, value) for name, value in self.parameters if name not in names]
        return _address(self.path, kept)

    @property
    def window_name(self) -> str | None:
        """The name of the window; `None` for a range of the reader's own."""
        if self.value("from") or self.value("to"):
            return None
        return self.value("window") or DEFAULT_WINDOW

    def single(self, *names: str) -> list[str]:
        """Those of these filters that a field can show, for it holds one value."""
        return [name for name in names if len(self.values(name)) <= 1]

    @property
    def further(self) -> list[tuple[str, str]]:
        """The filters that no field of the page shows: each in words, and the address without."""
        fields = (*CHOSEN, *OF_THE_LIST_CHOSEN) if self.path == LIST else CHOSEN
        shown = {*TIMES, *self.single(*fields), *OF_THE_LIST, *OF_A_SHEET}
        names = dict.fromkeys(name for name, _ in self.parameters if name not in shown)
        return [(self._words(name), self.without(name)) for name in names]

    def _words(self, name: str) -> str:
        if name in OF_TREES:
            return Limit(name, tuple(self.values(name)), Every(())).words
        if field_and_operator(name) is not None:
            return Filters(**{name: self.values(name)}).words[0]
        return f"{name.replace('_', ' ')}: {', '.join(self.values(name))}"

    @property
    def cleared(self) -> str:
        """The address of this page with its time alone."""
        return _address(self.path, [pair for pair in self.parameters if pair[0] in TIMES])

    @property
    def narrowing(self) -> int:
        """How many filters there are beside the time."""
        return len(self.hidden(*TIMES, "sort", "column", *OF_A_SHEET))

    def hidden(self, *names: str) -> list[tuple[str, str]]:
        """The filters a form must carry along beside those that it sets itself."""
        return [(name, value) for name, value in self.parameters if name not in names]

    def _for(self, path: str) -> list[tuple[str, str]]:
        own = () if path == self.path else OF_A_SHEET
        of_conversations = path == LIST or path.startswith(f"{LIST}/")
        # Turns are sorted by other things than conversations.
        if path == self.path or (of_conversations and self.path != TURN_LIST):
            return self.hidden(*own)
        return self.hidden(*OF_THE_LIST, *own)


def written(moment: datetime) -> str:
    """A moment as addresses hold it.

    Example:
        >>> written(datetime(2026, 3, 4, 12, tzinfo=UTC))
        '2026-03-04T12:00:00Z'
    """
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def conversation(
    conversation_id: str,
    *,
    tenant: str | None = None,
    turn: str | None = None,
    carried: Sequence[tuple[str, str]] = (),
) -> str:
    """The address of a conversation, or of one of its turns.

    An id that a browser would read as a step in the path goes into the query instead, and so does
    the start of an episode.

    Args:
        conversation_id: Any text.
        tenant: Its tenant, where the reader sees several.
        turn: The span id of a turn to go to.
        carried: The filters that the reader came with.

    Example:
        >>> conversation("a/b c", turn="00f067aa0ba902b7")
        '/conversations/a%2Fb%20c?turn=00f067aa0ba902b7#turn-00f067aa0ba902b7'
        >>> conversation("..")
        '/conversations?id=..'
        >>> conversation("c@20261118T110640.000000001Z")
        '/conversations/c?episode=20261118T110640.000000001Z'
    """
    query = [*carried]
    known = Episode.of(conversation_id)
    path = f"/conversations/{quote(known.raw, safe='')}"
    if known.raw not in _STEPS and known.start:
        query.append(("episode", known.start))
    elif not conversation_id or conversation_id in _STEPS:
        path = "/conversations"
        query.append(("id", conversation_id))
    if tenant is not None:
        query.append(("tenant", tenant))
    if turn is not None:
        query.append(("turn", turn))
    return _address(path, query) + (f"#turn-{quote(turn)}" if turn else "")


def turn(conversation_id: str, span_id: str, tenant: str | None) -> str:
    """The address of all that is known of a turn.

    Args:
        conversation_id: The id of its conversation, any text.
        span_id: The hexadecimal digits of its span.
        tenant: Its tenant, where the reader sees several.

    Example:
        >>> turn("a/b", "00f067aa0ba902b7", None)
        '/turn?id=a%2Fb&turn=00f067aa0ba902b7'
    """
    of_tenant = [] if tenant is None else [("tenant", tenant)]
    return _address("/turn", [("id", conversation_id), ("turn", span_id), *of_tenant])


def _address(path: str, query: Sequence[tuple[str, str | Sequence[str]]]) -> str:
    return f"{path}?{urlencode(query, doseq=True)}" if query else path
