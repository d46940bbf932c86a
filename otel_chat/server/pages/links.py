"""Addresses of pages: the filters stay in them, so that any view can be shared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

TIMES: Final = ("window", "from", "to")
OF_A_PAGE: Final = frozenset({"cursor", "turn", "tenant", "id"})
"""Parameters that belong to one page and do not travel to others."""
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
        kept = [(name, value) for name, value in query.multi_items() if name not in OF_A_PAGE]
        return cls(path, tuple(kept))

    def at(self, path: str, **extra: str) -> str:
        """The address of another page with the same filters."""
        return _address(path, [*self.parameters, *extra.items()])

    def narrowed(self, path: str, **values: str) -> str:
        """The address of another page with these filters instead of those of the same names.

        Example:
            >>> View("/", (("intent", "greet"), ("agent", "a"))).narrowed("/x", intent="bye")
            '/x?agent=a&intent=bye'
        """
        kept = [(name, value) for name, value in self.parameters if name not in values]
        return _address(path, [*kept, *values.items()])

    def with_times(self, window: str) -> str:
        """The address of this page with another window."""
        others = [(name, value) for name, value in self.parameters if name not in TIMES]
        return _address(self.path, [*others, ("window", window)])

    def without(self, *names: str) -> str:
        """The address of this page without these filters."""
        kept = [(name, value) for name, value in self.parameters if name not in names]
        return _address(self.path, kept)

    def hidden(self, *names: str) -> list[tuple[str, str]]:
        """The filters a form must carry along beside those that it sets itself."""
        return [(name, value) for name, value in self.parameters if name not in names]


def conversation(
    conversation_id: str, *, tenant: str | None = None, turn: str | None = None
) -> str:
    """The address of a conversation, or of one of its turns.

    An id that a browser would read as a step in the path goes into the query instead.

    Args:
        conversation_id: Any text.
        tenant: Its tenant, where the reader sees several.
        turn: The span id of a turn to go to.

    Example:
        >>> conversation("a/b c", turn="00f067aa0ba902b7")
        '/conversations/a%2Fb%20c?turn=00f067aa0ba902b7#turn-00f067aa0ba902b7'
        >>> conversation("..")
        '/conversations?id=..'
    """
    query = []
    path = f"/conversations/{quote(conversation_id, safe='')}"
    if not conversation_id or conversation_id in _STEPS:
        path = "/conversations"
        query.append(("id", conversation_id))
    if tenant is not None:
        query.append(("tenant", tenant))
    if turn is not None:
        query.append(("turn", turn))
    return _address(path, query) + (f"#turn-{quote(turn)}" if turn else "")


def _address(path: str, query: list[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
