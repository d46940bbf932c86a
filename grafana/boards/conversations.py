"""2 Conversations and handoffs."""

from __future__ import annotations

from grafana.board import Board
from grafana.boards.common import (
    CONTAINED,
    GOOD_SHARE,
    HANDED_OFF,
    LIST,
    SETTLED,
    TURNS,
    each,
    of_label,
)
from grafana.panels import (
    AREAS,
    BARS,
    RARE,
    About,
    Link,
    Query,
    bad_from,
    course,
    figure,
    ranking,
)
from grafana.promql import (
    RANGE,
    RATE,
    STEP,
    grown,
    latest,
    per_second,
    quantile,
    ratio,
    top,
    total,
    weighted,
)
from otel_chat import semconv as sc
from prometheus.names import AGENT, label

CHANNEL = label(sc.CHANNEL)
REASON, TARGET = label(sc.HANDOFF_REASON), label(sc.HANDOFF_TARGET)
MANY_HANDOFFS = bad_from(0.3, 0.5)
FOR_REASON = Link("Conversations for this reason", f"{LIST}&handoff_reason={of_label(REASON)}")


def board() -> Board:
    """How conversations go, and when and why a human takes over."""
    found = Board(
        "conversations",
        "otel-chat / 2 Conversations and handoffs",
        "How many conversations there are, how long they get, when and why a human takes over.",
        ("environment", "agent", "channel", "window"),
    )
    _figures(found)
    _handoffs(found)
    _reasons(found)
    _lengths(found)
    return found


def _figures(found: Board) -> None:
    scope = found.scope
    settled = scope.server("otel_chat_conversations_settled")
    handoffs, turns = scope.count(sc.METRIC_HANDOFFS), scope.count(sc.METRIC_TURN_DURATION)
    found.row(
        figure(
            About(
                "Containment",
                "Settled conversations of the window that no human had to take over, of all settled"
                " ones. Abandoned ones count as contained.",
                "percentunit", GOOD_SHARE, 1, 0, 1,
            ),
            weighted(scope.server("otel_chat_containment_ratio"), settled),
            course=True, links=[CONTAINED], width=6, height=5, change=True,
        ),
        figure(
            About(
                "Handoffs",
                "Handoffs to humans that were asked for in the chosen time.",
                "locale", decimals=0,
            ),
            grown(handoffs, RANGE), links=[HANDED_OFF], width=6, height=5, change=True,
        ),
        figure(
            About(
                "Handoffs per 100 turns",
                "Handoffs of the chosen time for each 100 user messages: comparable however busy"
                " it is.",
                "short", bad_from(5, 10), 1,
            ),
            f"100 * {ratio(grown(handoffs, RANGE), grown(turns, RANGE))}", links=[HANDED_OFF],
            width=6, height=5, change=True,
        ),
        figure(
            About(
                "Open conversations",
                "Conversations in which something happened lately and that have not ended, as the"
                " analytics server sees them now.",
                "locale", decimals=0,
            ),
            total(scope.server("otel_chat_conversations_open")), course=True,
            links=[Link("Open conversations", f"{LIST}&state=open")], width=6, height=5,
        ),
    )  # fmt: skip


def _handoffs(found: Board) -> None:
    scope = found.scope
    handed_off = scope.server("otel_chat_handoff_ratio")
    found.row(
        course(
            About("Handoffs by reason", "Handoffs per interval, by why a human was needed.",
                  "locale", decimals=0),
            Query(grown(scope.count(sc.METRIC_HANDOFFS), STEP, [REASON]), each(REASON)),
            look=BARS, links=[HANDED_OFF], each=[FOR_REASON],
        ),
        course(
            About(
                "Conversations with a handoff",
                "Settled conversations that reached a human, of the settled; for each agent and"
                " channel. A course that climbs deserves a look at its reasons.",
                "percentunit", MANY_HANDOFFS, 0, minimum=0,
            ),
            Query(latest(handed_off, ["agent", "channel"]), "{{agent}} {{channel}}"),
            links=[Link("Conversations that were handed off", f"{SETTLED}&handoff=true")],
        ),
    )  # fmt: skip


def _reasons(found: Board) -> None:
    scope = found.scope
    handoffs = scope.count(sc.METRIC_HANDOFFS)
    settled = scope.server("otel_chat_conversations_settled")
    outcome = Link("These conversations", f"{SETTLED}&outcome={of_label('outcome')}")
    found.row(
        ranking(
            About("Reasons", "Why humans were called in the chosen time.", "locale", decimals=0),
            Query(top(4, grown(handoffs, RANGE, [REASON])), each(REASON)), each=[FOR_REASON],
            height=6,
        ),
        ranking(
            About("Targets", "To whom conversations were handed in the chosen time.", "locale",
                  decimals=0),
            Query(top(4, grown(handoffs, RANGE, [TARGET])), each(TARGET)), links=[HANDED_OFF],
            height=6,
        ),
        ranking(
            About("Outcomes", "Settled conversations of the window, by how they ended.", "locale",
                  decimals=0),
            Query(top(4, total(settled, ["outcome"])), "{{outcome}}"), each=[outcome], height=6,
        ),
    )  # fmt: skip


def _lengths(found: Board) -> None:
    scope = found.scope
    turns = scope.buckets(sc.METRIC_CONVERSATION_TURNS)
    duration = scope.buckets(sc.METRIC_CONVERSATION_DURATION)
    only = (
        f"Of conversations that one process carried from start to end, as over a WebSocket. {RARE}"
    )
    found.row(
        course(
            About("Open conversations by channel", "As the analytics server sees them.", "locale",
                  decimals=0),
            Query(total(scope.server("otel_chat_conversations_open"), ["channel"]), "{{channel}}"),
            look=AREAS, width=8,
        ),
        course(
            About("Turns per conversation", f"Half of the conversations (p50), and 9 of 10 (p90),"
                  f" had no more. {only}", "short", decimals=1),
            Query(quantile(0.5, turns, RATE), "p50"),
            Query(quantile(0.9, turns, RATE), "p90"),
            width=8,
        ),
        course(
            About("Duration of conversations", f"Half of the conversations (p50), and 9 of 10"
                  f" (p90), were no longer. {only}", "s"),
            Query(quantile(0.5, duration, RATE), "p50"),
            Query(quantile(0.9, duration, RATE), "p90"),
            width=8,
        ),
    )  # fmt: skip
    found.row(
        course(
            About("Turns a minute, by agent", "User messages a minute, by the agent that answered"
                  " them.", "short"),
            Query(_rate(found), each(AGENT)),
            each=[Link("Turns of this agent", f"{TURNS}&agent={of_label(AGENT)}")],
            width=12, height=7,
        ),
        course(
            About("Turns a minute, by channel", "User messages a minute, by channel.", "short"),
            Query(_rate(found, CHANNEL), each(CHANNEL)),
            each=[Link("Turns on this channel", f"{TURNS}&channel={of_label(CHANNEL)}")],
            width=12, height=7,
        ),
    )  # fmt: skip


def _rate(found: Board, by: str = AGENT) -> str:
    return f"60 * {per_second(found.scope.count(sc.METRIC_TURN_DURATION), [by])}"
