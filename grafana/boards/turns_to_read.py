"""11 Turns to read: the latest failures, handoffs and slow turns, out of their traces."""

from __future__ import annotations

from typing import Final

from grafana.board import Board
from grafana.boards.common import FAILURES, GOALS, HANDED_OFF, LATE_TURNS, UNSURE
from grafana.boards.conversation import CHOSEN, FOUND, NAMED, ONLY, OPEN, READ
from grafana.panels import GREY, ORANGE, RARE, RED, About, Link
from grafana.traces import DURATION, START, Field, turn_table
from otel_chat import semconv as sc

_WHEN: Final = Field("Time", START, width=165)
_WHICH: Final = Field("Conversation", sc.CONVERSATION_ID, width=190, links=[READ, OPEN])
_WHO: Final = Field("Agent", sc.AGENT_NAME, width=120)
_ABOUT: Final = Field("Intent", sc.INTENT_NAME)
_TOOK: Final = Field("Duration", DURATION, "ns", width=90)
_ENDED: Final = Field(
    "Status", sc.STATUS, colours={"ok": GREY, "error": RED, "cancelled": ORANGE}, width=90
)
_TEXT = (
    "as far as Tempo keeps them. A click on a conversation opens it, here or in the analytics"
    f" server. {RARE}"
)


def board() -> Board:
    """What is worth reading, each a click from its conversation."""
    found = Board(
        "turns-to-read",
        "otel-chat / 11 Turns to read",
        "The latest turns that failed, were handed off, took long or were unsure, out of Tempo's"
        " traces; each opens its conversation.",
        ("environment", "agent"),
        "now-24h",
    )

    def listed(
        title: str,
        what: str,
        only: str,
        fields: tuple[Field, ...],
        link: Link,
        *,
        slow: bool = False,
    ) -> None:
        found.row(
            turn_table(
                About(title, f"{what}, {_TEXT}", "short"),
                [NAMED, CHOSEN, ONLY[only]],
                fields,
                latest_first=not slow,
                slowest_first=slow,
                links=[link],
                height=8,
            )
        )

    why = Field("Error", sc.ERROR_TYPE, width=190)
    listed(
        "Latest failures", "The latest turns that ended with an error, the latest first", "Failed",
        (_WHEN, _WHICH, _WHO, _ABOUT, why, _TOOK), FAILURES,
    )  # fmt: skip
    reason = Field("Reason", sc.HANDOFF_REASON, width=190)
    target = Field("To", sc.HANDOFF_TARGET, width=150)
    listed(
        "Latest handoffs", "The latest turns that asked for a human, the latest first",
        "Handed off", (_WHEN, _WHICH, _WHO, _ABOUT, reason, target), HANDED_OFF,
    )  # fmt: skip
    listed(
        "Slowest turns",
        f"Turns of {GOALS.response_seconds:g} s and longer, the slowest first", "Slow",
        (_WHEN, _WHICH, _WHO, _ABOUT, _ENDED, _TOOK), LATE_TURNS, slow=True,
    )  # fmt: skip
    listed(
        "Latest unsure turns", "The latest turns of a low confidence, the latest first", "Unsure",
        FOUND, UNSURE,
    )  # fmt: skip
    return found
