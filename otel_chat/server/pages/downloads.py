"""The links of the page of exports and reports: what can be taken away, and in which format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otel_chat.server.pages.links import View

API: Final = "/api/v1"
FORMATS: Final = (("csv", "CSV"), ("jsonl", "JSON Lines"), ("parquet", "Parquet"))
REPORTS: Final = (
    ("html", "HTML", "One file to read, print or send."),
    ("markdown", "Markdown", "For a wiki or a pull request."),
    ("text", "Text", "For an e-mail."),
    ("json", "JSON", "For other programs."),
)
_KINDS: Final = (
    (
        "sessions",
        "Conversations",
        "One row for each conversation that began in the window: times, outcome, agent, tokens.",
        (),
    ),
    (
        "messages",
        "Messages",
        "What was said, by whom and when. Texts take the scope conversations:read.",
        ("sender",),
    ),
    (
        "analytics",
        "Figures of conversations",
        "For each conversation what the pages work out: outcome, engagement, response times.",
        ("resolved",),
    ),
    (
        "interactions",
        "Turns",
        "One row for each turn: intent, confidence, model, tokens, cost, errors.",
        (),
    ),
    (
        "events",
        "Events",
        "Handoffs, feedback, topics, workflows and whatever else was reported.",
        ("name",),
    ),
    (
        "reviews",
        "Reviews",
        "One row for what a reviewer says of a conversation: scores, labels, comment.",
        (),
    ),
    ("all", "All of these", "A file of each kind, in one zip archive.", ()),
)
OF_A_KIND: Final = frozenset({"sender", "resolved", "name"})


@dataclass(frozen=True, slots=True)
class Export:
    """Something to take away.

    Args:
        key: Its name in the address.
        label: What it is called.
        about: What is in it.
        asks: The parameters that it has beside the filters.
        addresses: The name of each format, its label and its address.
    """

    key: str
    label: str
    about: str
    asks: Sequence[str]
    addresses: Sequence[tuple[str, str, str]]


def as_file(form: str) -> dict[str, str]:
    """The parameters of a download in a format: CSV is opened by a double click."""
    return {"format": form} | ({"bom": "true"} if form == "csv" else {})


def exports(view: View) -> list[Export]:
    """Every export with the filters of the view.

    Example:
        >>> from otel_chat.server.pages.links import View
        >>> exports(View("/exports", (("agent", "a"),)))[0].addresses[0]
        ('csv', 'CSV', '/api/v1/exports/sessions?agent=a&format=csv&bom=true')
    """
    made = []
    for key, label, about, asks in _KINDS:
        others = OF_A_KIND - set(asks)
        kept = view.without_values("timezone", *others)
        path = f"{API}/exports/{key}"
        addresses = [
            (name, shown, kept.narrowed_here(path, **as_file(name))) for name, shown in FORMATS
        ]
        made.append(Export(key, label, about, asks, addresses))
    return made


def reports(view: View) -> list[tuple[str, str, str, str]]:
    """Every format of the report: name, label, what it is for, address."""
    kept = view.without_values(*OF_A_KIND)
    return [
        (name, label, about, kept.narrowed_here(f"{API}/report", format=name))
        for name, label, about in REPORTS
    ]
