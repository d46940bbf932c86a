"""9 Audience: who writes, when, about what, and in which mood."""

from __future__ import annotations

from dataclasses import replace

from grafana.board import Board
from grafana.boards.common import CONVERSATIONS, STARTED, of_label
from grafana.panels import AREAS, RARE, About, Link, Query, bad_from, course, figure, ranking
from grafana.promql import Scope, of_any, ratio, top, total
from otel_chat import semconv as sc

MOODS = replace(AREAS, colours={"positive": "green", "neutral": "text", "negative": "red"})


def board() -> Board:
    """Who writes, when, and about what."""
    found = Board(
        "audience",
        "otel-chat / 9 Audience and topics",
        "For a product owner: who writes, when, about what, in which mood, and what comes of it.",
        ("environment", "agent", "channel", "window"),
        "now-24h",
    )
    _figures(found)
    _courses(found)
    _names(found)
    return found


def _figures(found: Board) -> None:
    scope = found.scope
    started = scope.server("otel_chat_conversations_started")
    moods = scope.server("otel_chat_sentiment_turns")
    negative = moods.where("sentiment", sc.SENTIMENTS[-1])
    leads = scope.server("otel_chat_leads")
    found.row(
        figure(
            About("Conversations started", "Conversations that started in the window.", "locale",
                  decimals=0),
            total(started), course=True, links=[Link("These conversations", STARTED)],
            width=8, height=5, change=True,
        ),
        figure(
            About("Negative turns", "Turns of the window whose message was negative, of those that"
                  f" have a sentiment. {RARE}", "percentunit", bad_from(0.2, 0.4), 0, 0, 1),
            ratio(total(negative), total(moods)), course=True, width=8, height=5, change=True,
        ),
        figure(
            About("Leads", "Leads that were told of in the window, of every kind.", "locale",
                  decimals=0),
            of_any(total(leads), total(started)), course=True, width=8, height=5, change=True,
        ),
    )  # fmt: skip


def _courses(found: Board) -> None:
    scope = found.scope
    place = Scope(tuple(name for name in scope.variables if name != "window"))
    hourly = place.server("otel_chat_conversations_started").where("window", "1h")
    moods = scope.server("otel_chat_sentiment_turns")
    found.row(
        course(
            About("Conversations started in an hour", "At each moment, the conversations that had"
                  " started in the hour before, by agent.", "locale", decimals=0),
            Query(total(hourly, ["agent"]), "{{agent}}"), look=AREAS, links=[CONVERSATIONS],
        ),
        course(
            About("Sentiment", "Turns of the window by the sentiment of the user's message. Needs"
                  f" an analyser of sentiment. {RARE}", "locale", decimals=0),
            Query(total(moods, ["sentiment"]), "{{sentiment}}"), look=MOODS,
        ),
    )  # fmt: skip


def _names(found: Board) -> None:
    scope = found.scope
    hours = scope.server("otel_chat_hour_conversations")
    topics = scope.server("otel_chat_topic_conversations")
    users = scope.server("otel_chat_user_type_conversations")
    leads = scope.server("otel_chat_leads")
    of_topic = Link("Conversations about this", f"{STARTED}&topic={of_label('topic')}")
    of_users = Link(
        "Conversations of these users", f"{STARTED}&first_user_type={of_label('user_type')}"
    )
    found.row(
        ranking(
            About("Topics", "Conversations of the window by topic, most frequent first. Needs a"
                  f" detector of topics, or calls of topic(). {RARE}", "locale", decimals=0),
            Query(top(8, total(topics, ["topic"])), "{{topic}}"), each=[of_topic],
            width=6, height=10,
        ),
        ranking(
            About("Types of users", "Conversations that started in the window, by type of user."
                  f" {RARE}", "locale", decimals=0),
            Query(top(8, total(users, ["user_type"])), "{{user_type}}"), each=[of_users],
            width=6, height=10,
        ),
        ranking(
            About("Leads by kind", f"Leads of the window by kind. {RARE}", "locale", decimals=0),
            Query(top(8, total(leads, ["kind"])), "{{kind}}"), width=6, height=10,
        ),
        ranking(
            About("Busiest hours, last 7 days", "The hours of the day (UTC) in which"
                  " most conversations started; of every channel.", "locale", decimals=0),
            Query(top(8, total(hours, ["hour"])), "{{hour}}:00"), width=6, height=10,
        ),
    )  # fmt: skip
