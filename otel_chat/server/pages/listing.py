"""The list of conversations as it is shown: its columns, its order, and what was noted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from otel_chat.server.pages import downloads, formats
from otel_chat.server.pages.links import LIST, TIMES, View
from otel_chat.server.questions.marks import Mark
from otel_chat.server.questions.presets import OF_PRESETS, PRESETS
from otel_chat.server.questions.ranked import NEWEST

if TYPE_CHECKING:
    from otel_chat.server.questions.conversations import ConversationSummary
    from otel_chat.server.questions.previews import Preview


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the list.

    Args:
        key: Its name in the address, and of what stands in it.
        label: What it is called.
        sort: What it is sorted by; empty where it is not.
        number: Whether it holds figures.
        usual: Whether it is there unless others were chosen.
    """

    key: str
    label: str
    sort: str = ""
    number: bool = False
    usual: bool = True


COLUMNS: Final = (
    Column("conversation", "Conversation"),
    Column("notable", "Notable"),
    Column("outcome", "Outcome"),
    Column("intents", "Intents", usual=False),
    Column("agent", "Agent", usual=False),
    Column("channel", "Channel"),
    Column("user_type", "User type", usual=False),
    Column("model", "Models", usual=False),
    Column("variant", "Variant", usual=False),
    Column("feedback", "Feedback", usual=False),
    Column("turns", "Turns", "turns", number=True),
    Column("messages", "Messages", number=True, usual=False),
    Column("errors", "Failed turns", "errors", number=True, usual=False),
    Column("duration", "Lasted", "duration", number=True, usual=False),
    Column("response", "Mean response", "response", number=True),
    Column("tokens", "Tokens", "tokens", number=True, usual=False),
    Column("cost", "Cost", "cost", number=True),
    Column("engagement", "Engagement", "engagement", number=True, usual=False),
    Column("started", "Started", "started"),
)
USUAL: Final = tuple(column for column in COLUMNS if column.usual)
_ALWAYS: Final = "conversation"


def columns(view: View) -> Sequence[Column]:
    """The columns that a reader chose, in their own order; the usual ones without a choice.

    Example:
        >>> [one.key for one in columns(View("/conversations", (("column", "cost"),)))]
        ['conversation', 'cost']
    """
    chosen = set(view.values("column"))
    found = [one for one in COLUMNS if one.key in chosen]
    return [one for one in COLUMNS if one in found or one.key == _ALWAYS] if found else USUAL


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a conversation is notable.

    Args:
        kind: failed, unsure, slow, handed_off or rating.
        label: What it says, with how often.
    """

    kind: str
    label: str


def reasons(item: ConversationSummary, preview: Preview | None) -> list[Reason]:
    """Why a conversation is notable; none where nothing about it is.

    Args:
        item: The conversation.
        preview: What is shown of it in a list; `None` where none of its turns is stored.
    """
    counts = {kind: getattr(preview, kind, 0) for kind in ("failed", "unsure", "slow")}
    found = [
        Reason(kind, f"{kind} {formats.count(count)}") for kind, count in counts.items() if count
    ]
    if item.handoff:
        found.append(Reason("handed_off", "asked for a human"))
    if preview is not None and (rating := preview.rating) is not None:
        most = rating.highest
        said = f"{rating.value:g} of {most:g}" if most is not None and most > 1 else item.feedback
        found.append(Reason("rating", f"rating {said or f'{rating.value:g}'}"))
    return found


@dataclass(frozen=True, slots=True)
class Heading:
    """The head of a column.

    Args:
        column: The column.
        href: Where a click on it leads; empty where it cannot be sorted by.
        order: How the list is sorted by it, as aria-sort has it.
    """

    column: Column
    href: str = ""
    order: Literal["", "ascending", "descending"] = ""


def headings(view: View) -> list[Heading]:
    """The heads of the columns, each with the order that a click on it asks for."""
    present = view.value("sort") or NEWEST
    made = []
    for column in columns(view):
        if not column.sort:
            made.append(Heading(column))
            continue
        falling = present == f"-{column.sort}"
        rising = present == column.sort
        other = column.sort if falling else f"-{column.sort}"
        order: Literal["", "ascending", "descending"] = (
            "descending" if falling else "ascending" if rising else ""
        )
        made.append(Heading(column, view.narrowed(LIST, sort=other), order))
    return made


def presets(view: View, counts: Sequence[int]) -> list[tuple[str, str, int, bool]]:
    """The presets with their addresses, how many each has, and whether it is the present list.

    Args:
        view: The filters of the page.
        counts: How many conversations each has.
    """
    bare = view.without_values(*OF_PRESETS)
    own = {name: view.value(name) for name in OF_PRESETS if view.value(name)}
    return [
        (one.label, bare.narrowed(LIST, **one.parameters), count, own == one.parameters)
        for one, count in zip(PRESETS, counts, strict=True)
    ]


def marks_by_key(
    items: Sequence[ConversationSummary], marks: Sequence[Mark]
) -> dict[tuple[str, str], Mark]:
    """What was noted about each of the conversations; nothing where nothing was."""
    known = {(mark.tenant, mark.conversation_id): mark for mark in marks}
    return {
        key: known.get(key, Mark(tenant=key[0], conversation_id=key[1]))
        for key in ((item.tenant, item.conversation_id) for item in items)
    }


def download(view: View) -> str:
    """The address of all conversations of the view as a file, whatever the page shows of them."""
    kept = view.narrowed("/api/v1/exports/sessions", **downloads.as_file("csv"))
    return kept if any(view.value(name) for name in TIMES) else f"{kept}&window=7d"
