"""12 Answers: what only the analytics server knows, asked at its API."""

from __future__ import annotations

from typing import Final

from grafana.answers import Told, answer_table
from grafana.board import Board
from grafana.boards.common import (
    DEAREST,
    FAILURES,
    HANDED_OFF,
    LATE_TURNS,
    NOT_UNDERSTOOD,
    TURNS,
    UNSURE,
)
from grafana.boards.conversation import OPEN, READ, SURE
from grafana.panels import RARE, About, Link

_WHEN: Final = Told("Time", "start", time=True, width=165)
_WHICH: Final = Told("Conversation", "conversation_id", width=190, links=[READ, OPEN])
_WHO: Final = Told("Agent", "agent", width=120)
_ABOUT: Final = Told("Intent", "intent")
_TOOK: Final = Told("Duration", "duration", "s", width=90)
_SLOWEST = 20


def board() -> Board:
    """Lists and figures that no metric carries."""
    found = Board(
        "answers",
        "otel-chat / 12 Answers of the analytics server",
        "What no metric carries: the latest failures and handoffs, the slowest turns, the"
        " confidence of each intent, how long people wait for a human. Needs the data source"
        " Infinity.",
        ("environment", "agent", "channel"),
        "now-24h",
    )
    _latest(found)
    _slowest(found)
    _figures(found)
    return found


def _latest(found: Board) -> None:
    opens = f"A click on a conversation opens it. {RARE}"
    found.row(
        answer_table(
            About("Latest failures", f"The latest turns that ended with an error. {opens}",
                  "short"),
            "/interactions?failed=true&limit=50", "items",
            [_WHEN, _WHICH, _WHO, _ABOUT, Told("Error", "error_type", width=170), _TOOK],
            links=[FAILURES],
        ),
    )  # fmt: skip
    found.row(
        answer_table(
            About("Latest handoffs", f"The latest turns that asked for a human. {opens}", "short"),
            "/interactions?turn_handoff=true&limit=50", "items",
            [_WHEN, _WHICH, _WHO, _ABOUT, Told("Reason", "handoff.reason", width=150),
             Told("To", "handoff.target", width=110)],
            links=[HANDED_OFF],
        ),
    )  # fmt: skip


def _slowest(found: Board) -> None:
    found.row(
        answer_table(
            About(
                "Slowest turns",
                f"The {_SLOWEST} slowest turns of the chosen time, and where their time went:"
                " calls of models and tools, and the application's own code.",
                "short",
            ),
            f"/performance/slowest?limit={_SLOWEST}", "items",
            [_WHEN, _WHICH, _WHO, _ABOUT, Told("Model", "model", width=170), _TOOK,
             Told("in models", "split.model", "s", width=90),
             Told("in tools", "split.tool", "s", width=90),
             Told("in own code", "split.own", "s", width=100)],
            links=[LATE_TURNS], width=24, height=9,
        ),
    )  # fmt: skip


def _figures(found: Board) -> None:
    of_intent = Link("Turns with this intent", f"{TURNS}&intent=${{__value.raw:percentencode}}")
    found.row(
        answer_table(
            About(
                "Confidence by intent",
                "Turns of the chosen time by intent: how sure the agent was, how many were unsure,"
                " and how many of the conversations ended there, abandoned or failed.",
                "short",
            ),
            "/intents", "items",
            [Told("Intent", "name", links=[of_intent]),
             Told("Turns", "turns", "locale", 0, width=80),
             Told("Share", "share", "percentunit", 1, width=80),
             Told("Confidence, mean", "mean_confidence", "percentunit", 0, SURE, width=140),
             Told("Unsure", "low_confidence", "locale", 0, width=80),
             Told("Dropped off", "dropped", "locale", 0, width=100)],
            links=[UNSURE], width=12, height=9,
        ),
        answer_table(
            About(
                "Wait for a human",
                "Time from asking for a human to getting one, of the handoffs whose wait the"
                " application reports.",
                "short",
            ),
            "/business", "handoffs.wait",
            [Told("Handoffs", "count", "locale", 0, width=90), Told("Mean", "mean", "s", width=80),
             Told("p50", "p50", "s", width=80), Told("p95", "p95", "s", width=80)],
            links=[HANDED_OFF], width=6, height=9,
        ),
        answer_table(
            About(
                "Fallback",
                "Turns of the chosen time in which no intent was found, of those that were"
                " classified.",
                "short",
            ),
            "/intents", "fallback",
            [Told("Turns", "count", "locale", 0, width=100),
             Told("Classified", "classified", "locale", 0, width=110),
             Told("Share", "rate", "percentunit", 1, width=100)],
            links=[NOT_UNDERSTOOD], width=6, height=9,
        ),
    )  # fmt: skip
    found.row(
        answer_table(
            About(
                "Dearest conversations",
                "The conversations of the chosen time whose priced turns cost most.",
                "short",
            ),
            "/conversations?sort=-cost&limit=20", "items",
            [Told("Started", "started_at", time=True, width=165), _WHICH,
             Told("Agent", "agent", width=120), Told("Channel", "channel", width=90),
             Told("Outcome", "outcome"), Told("Turns", "turns", "locale", 0, width=80),
             Told("Cost", "cost", "currencyUSD", 4, width=110)],
            links=[DEAREST], width=24, height=8,
        ),
    )  # fmt: skip
