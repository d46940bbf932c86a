"""8 Conversation: one, turn by turn, each with its trace."""

from __future__ import annotations

from typing import Final

from grafana.board import Board
from grafana.boards.common import GOALS
from grafana.panels import GREEN, GREY, ORANGE, RARE, RED, About, Link, Steps
from grafana.traces import (
    DURATION,
    START,
    TRACE,
    Field,
    conversation_link,
    trace_view,
    turn_table,
)
from otel_chat import semconv as sc

THIS: Final = f"span.{sc.CONVERSATION_ID} = ${{conversation:doublequote}}"
NAMED: Final = f'span.{sc.CONVERSATION_ID} != ""'
CHOSEN: Final = f'span.{sc.AGENT_NAME} =~ "$agent"'
ONLY: Final = {
    "Every turn": "duration >= 0s",
    "Failed": "status = error",
    "Slow": f"duration >= {GOALS.response_seconds:g}s",
    "Unsure": f"span.{sc.CONFIDENCE} < {sc.LOW_CONFIDENCE_THRESHOLD}",
    "Handed off": f"span.{sc.HANDOFF_TRIGGERED} = true",
}
"""What the table of turns to choose from can be limited to."""
SHOW: Final = Link(
    "Show this trace beneath",
    conversation_link("${conversation:percentencode}", "${__value.raw}"),
)
READ: Final = Link(
    "Read it, in the analytics server",
    "${analytics}/conversations/${__value.raw:percentencode}",
)
OPEN: Final = Link("Show this conversation", conversation_link("${__value.raw:percentencode}"))
TRANSCRIPT: Final = Link(
    "The transcript, in the analytics server",
    "${analytics}/conversations/${conversation:percentencode}",
)
SURE: Final[Steps] = ((None, GREY), (0, RED), (0.5, ORANGE), (sc.LOW_CONFIDENCE_THRESHOLD, GREEN))
"""Grey where nobody told a confidence."""
_SAID: Final = (
    Field("Intent", sc.INTENT_NAME),
    Field("Confidence", sc.CONFIDENCE, "percentunit", 0, SURE, width=100),
    Field("Duration", DURATION, "ns", width=90),
    Field("Tokens in", sc.USAGE_INPUT_TOKENS, "locale", 0, width=90),
    Field("Tokens out", sc.USAGE_OUTPUT_TOKENS, "locale", 0, width=100),
    Field("Cost", sc.COST_AMOUNT, "currencyUSD", 4, width=110),
    Field("Status", sc.STATUS, colours={"ok": GREY, "error": RED, "cancelled": ORANGE}, width=90),
)
TURNS: Final = (
    Field("Time", START, width=185),
    Field("Agent", sc.AGENT_NAME, width=130),
    *_SAID,
    Field("Trace", TRACE, width=290, links=[SHOW]),
)
FOUND: Final = (
    Field("Time", START, width=185),
    Field("Conversation", sc.CONVERSATION_ID, width=320, links=[READ, OPEN]),
    Field("Agent", sc.AGENT_NAME, width=120),
    Field("Channel", sc.CHANNEL, width=80),
    *_SAID,
)


def board() -> Board:
    """One conversation."""
    found = Board(
        "conversation",
        "otel-chat / 8 Conversation",
        "One conversation: its turns in order, and the trace of each. Enter its id, or follow a"
        " link to it.",
        ("environment", "agent"),
        "now-24h",
        texts={"conversation": "Conversation", "trace": "Trace"},
        choices={"only": ("Only", ONLY)},
    )
    found.row(
        turn_table(
            About(
                "Turns of the conversation",
                "The turns of the conversation whose id stands at the top, in order, as far as"
                " Tempo keeps them; an agent that another one calls has a row of its own. A click"
                f" on a trace shows it beneath. {RARE}",
                "short",
            ),
            [THIS], TURNS, links=[TRANSCRIPT],
        ),
    )  # fmt: skip
    found.row(
        trace_view(
            About(
                "Trace of the chosen turn",
                "Every step of the turn that was chosen above, or that an exemplar led to: models,"
                f" tools, look-ups, with their attributes. {RARE}",
                "short",
            ),
            "${trace}",
        ),
    )  # fmt: skip
    found.row(
        turn_table(
            About(
                "Conversation of the trace",
                "The turn that the trace at the top belongs to. A click on its conversation shows"
                f" all of its turns. {RARE}",
                "short",
            ),
            ["trace:id = ${trace:doublequote}"], FOUND, height=4,
        ),
    )  # fmt: skip
    found.row(
        turn_table(
            About(
                "Latest turns",
                "The latest turns of the chosen time and agents, of the kind chosen at the top. A"
                f" click on a conversation shows all of its turns above. {RARE}",
                "short",
            ),
            [NAMED, CHOSEN, "$only"], FOUND, latest_first=True,
        ),
    )  # fmt: skip
    return found
