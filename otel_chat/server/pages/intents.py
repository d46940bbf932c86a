"""The page of intents: what people ask for, and where they are not understood."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from otel_chat.errors import ConfigurationError
from otel_chat.server.access import CONVERSATIONS_READ
from otel_chat.server.pages import formats, links
from otel_chat.server.pages.charts import sparkline
from otel_chat.server.pages.links import GIVEN_UP
from otel_chat.server.pages.overview import SLOWEST, Card, Opening, meanings, opening
from otel_chat.server.pages.sheets import Asking, Body, Later, Sheet
from otel_chat.server.pages.tables import Cell, Head, Table, counted, furthest, rate, table
from otel_chat.server.questions import nlu, subjects, unanswered

if TYPE_CHECKING:
    from otel_chat.server.pages.links import View

OFTEN_FAILING: Final = 0.3
_WITHOUT_FAILURE: Final = {"failed": "false", "fallback": "false", "turn_handoff": "false"}
_FIRST: Final = 10
_TITLE: Final = "Unanswered questions"
_QUESTION: Final = "What do people ask that the bot does not know?"
_LONG: Final = 140


def _cards(found: nlu.Intents, view: View) -> list[Card]:
    confidence, fallback = found.confidence, found.fallback
    return [
        Card(
            key="classified",
            label="Classified",
            value=formats.compact(fallback.classified),
            note="of",
            parts=[opening(view, found.turns, "turns", "/turns")],
            sample=formats.plural(found.classifications, "classification"),
            meanings=meanings("classified_turns", "classifications"),
        ),
        Card(
            key="fallback",
            label="Fallback",
            value=formats.percent(fallback.rate),
            note="",
            interval=formats.interval(fallback.count, fallback.classified),
            parts=[opening(view, fallback.count, "without an intent", "/turns", fallback="true")],
            sample=f"of {formats.count(fallback.classified)}",
            meanings=meanings("fallback_ratio", "fallback_turns"),
        ),
        Card(
            key="unsure",
            label="Unsure",
            value=formats.percent(confidence.low_rate),
            interval=formats.interval(confidence.low, confidence.count),
            note=f"confidence below {confidence.threshold:g}:",
            parts=[
                opening(
                    view,
                    confidence.low,
                    "turns",
                    "/turns",
                    confidence_below=f"{confidence.threshold:g}",
                )
            ],
            sample=f"of {formats.plural(confidence.count, 'turn')}",
            meanings=meanings("low_confidence_ratio", "low_confidence_turns"),
        ),
        Card(
            key="confidence",
            label="Confidence",
            value=formats.score(confidence.mean),
            note="mean",
            sample=formats.plural(confidence.count, "turn"),
            meanings=meanings("mean_confidence"),
            parts=[Opening("the least sure", view.narrowed("/turns", sort="confidence"))]
            if confidence.count
            else (),
        ),
    ]


def _no_failure(view: View) -> Head[nlu.Intent]:
    return Head(
        "No failure",
        lambda i: Cell(
            formats.percent(i.no_failure_rate),
            view.narrowed("/turns", intent=i.name, **_WITHOUT_FAILURE) if i.no_failure else "",
            share=i.no_failure_rate,
            sub=formats.interval(i.no_failure, i.turns),
            tone="bad" if i.turns and i.no_failure / i.turns <= 1 - OFTEN_FAILING else "",
            counts=i.no_failure,
        ),
        figure="intent_no_failure_ratio",
    )


def _how_sure_and_fast(found: nlu.Intents, view: View) -> list[Head[nlu.Intent]]:
    return [
        Head(
            "Confidence",
            lambda i: furthest(
                formats.score(i.mean_confidence),
                view.narrowed("/turns", intent=i.name, sort="confidence"),
                "the least sure first",
            ),
            figure="intent_confidence",
        ),
        Head(
            "Unsure",
            lambda i: counted(
                i.low_confidence,
                view.narrowed(
                    "/turns", intent=i.name, confidence_below=f"{found.confidence.threshold:g}"
                ),
            ),
            figure="intent_low_confidence",
        ),
        Head(
            "Response",
            lambda i: furthest(
                formats.duration(i.mean_response_time),
                view.narrowed("/turns", intent=i.name, sort="-response"),
                SLOWEST,
            ),
            figure="intent_response_time",
        ),
    ]


def _intents(found: nlu.Intents, view: View) -> Table:
    heads: list[Head[nlu.Intent]] = [
        Head("Intent", lambda i: i.name, number=False),
        Head(
            "Turns",
            lambda i: counted(i.turns, view.narrowed("/turns", intent=i.name), i.share),
            figure="intent_turns",
        ),
        _no_failure(view),
        Head(
            "Success",
            lambda i: Cell(
                formats.percent(i.success_rate),
                sub=f"of {formats.count(i.reported)} reported" if i.reported else "",
                share=i.success_rate,
            ),
            figure="intent_success_ratio",
        ),
        *_how_sure_and_fast(found, view),
        Head("Switched", lambda i: formats.count(i.switched), figure="intent_switched"),
        Head(
            "Dropped",
            lambda i: counted(
                i.dropped, view.narrowed("/conversations", last_intent=i.name, outcome=GIVEN_UP)
            ),
            figure="intent_drop_off",
        ),
    ]
    return table(
        "intents",
        "Intents",
        "What is asked for most, and which of it goes wrong?",
        heads,
        found.items,
        nothing="No turn of this window has an intent.",
        how='turn.intent("refund", confidence=0.9)',
        wide=True,
    )


def _topics(asking: Asking) -> Table:
    found = subjects.topics(asking.store, asking.scope, asking.window, asking.filters)
    view = asking.view
    heads: list[Head[subjects.Topic]] = [
        Head("Topic", lambda t: t.name, number=False),
        Head(
            "Conversations",
            lambda t: counted(t.conversations, view.narrowed(links.LIST, topic=t.name), t.share),
            figure="topic_conversations",
        ),
        Head(
            "Unresolved",
            lambda t: counted(
                t.unresolved,
                view.narrowed(links.LIST, topic=t.name, outcome=(*GIVEN_UP, "handed_off")),
            ),
            figure="topic_unresolved",
        ),
    ]
    return table(
        "topics",
        "Topics",
        "What are conversations about, and which topics stay unresolved?",
        heads,
        found.items,
        nothing="No topics were reported.",
        how='turn.topic("delivery")',
    )


def _entities(asking: Asking) -> Table:
    found = subjects.entities(asking.store, asking.scope, asking.window, asking.filters)
    heads: list[Head[subjects.Entity]] = [
        Head("Entity", lambda e: e.type, number=False),
        Head("Recognised", lambda e: formats.count(e.count), figure="entities"),
        Head(
            "Conversations", lambda e: formats.count(e.conversations), figure="entity_conversations"
        ),
    ]
    return table(
        "entities",
        "Entities",
        "Which details are recognised?",
        heads,
        found.items,
        nothing="No entities were reported.",
        how='turn.entity("city", "Oxford")',
    )


def _sentiments(asking: Asking) -> Table:
    found = subjects.sentiments(asking.store, asking.scope, asking.window, asking.filters)

    def such(sentiment: subjects.Sentiment) -> str:
        return asking.view.narrowed("/turns", sentiment=sentiment.name) if sentiment.name else ""

    heads: list[Head[subjects.Sentiment]] = [
        Head("Sentiment", lambda s: s.name, number=False),
        Head(
            "Turns",
            lambda s: counted(s.turns, such(s)),
            figure="sentiment_turns",
        ),
        Head(
            "Share",
            lambda s: rate(
                s.share,
                part=s.turns,
                of=sum(one.turns for one in found.items),
                href=such(s),
            ),
            figure="sentiment_share",
        ),
    ]
    return table(
        "sentiments",
        "Sentiment",
        "What mood are people in?",
        heads,
        found.items,
        nothing="No sentiment was reported.",
        how='turn.sentiment("positive")',
        wide=True,
    )


def unanswered_themes(asking: Asking) -> Table:
    """What was asked and not understood, the open themes of it; or why that cannot be shown."""
    if not asking.scope.allows(CONVERSATIONS_READ):
        return _no_themes(f"What people wrote needs a token with the scope {CONVERSATIONS_READ}.")
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    try:
        found = unanswered.unanswered(*asked, states=("open",))
    except ConfigurationError as error:
        return _no_themes(str(error))
    made = themes_table(asking, found, _FIRST)
    return replace(
        made,
        rest=sample(found) if found.grouped else "",
        link=("All questions", asking.view.at("/intents/questions")) if found.grouped else None,
    )


def themes_table(asking: Asking, found: unanswered.Themes, shown: int) -> Table:
    """Themes of what was not understood.

    Args:
        asking: What the page is asked with.
        found: The themes.
        shown: How many at most.
    """
    nothing = "No question of this state." if found.grouped else "Every message was understood."
    if found.turns and not found.with_text:
        nothing = (
            f"{formats.plural(found.turns, 'message')} not understood, but none is stored: switch"
            " the capture of content on to see them."
        )
    heads = _themes(asking, decided=any(theme.decision for theme in found.items))
    return table(
        "unanswered",
        _TITLE,
        _QUESTION,
        heads,
        found.items,
        nothing=nothing,
        wide=True,
        shown=shown,
        more=meanings("theme_share"),
    )


def _no_themes(why: str) -> Table:
    none: list[Head[unanswered.Theme]] = []
    return table("unanswered", _TITLE, _QUESTION, none, [], nothing=why)


def sample(found: unanswered.Themes) -> str:
    """Of what the themes are made, and what is not among them."""
    said = (
        f"{formats.plural(found.turns, 'turn')} not understood, {found.with_text:,} with text,"
        f" {found.grouped:,} grouped; {found.small_talk:,} thanks, greetings and the like left out."
    )
    decided = [
        f"{count:,} {state}" for state, count in found.by_state.items() if count and state != "open"
    ]
    return f"{said} Decided about: {', '.join(decided)}." if decided else said


def _themes(asking: Asking, *, decided: bool) -> list[Head[unanswered.Theme]]:
    several = asking.scope.tenants is None or len(asking.scope.tenants) > 1

    def address(theme: unanswered.Theme) -> str:
        return asking.view.at("/intents/question", asking=theme.asking)

    def question(theme: unanswered.Theme) -> Cell:
        since = f"{'new since' if theme.new else 'since'} {formats.when(theme.first_at, zone=True)}"
        return Cell(_cut(theme.label), address(theme), quoted=True, sub=since)

    def examples(theme: unanswered.Theme) -> Cell:
        found = [
            (_cut(one.message), links.conversation(
                one.conversation_id, tenant=one.tenant if several else None
            ))
            for one in theme.examples
        ]  # fmt: skip
        return Cell("", quoted=True, items=found)

    def taken_for(theme: unanswered.Theme) -> str:
        return ", ".join(intent.name or "nothing" for intent in theme.intents[:2])

    def state(theme: unanswered.Theme) -> Cell:
        decision = theme.decision
        when = formats.when(decision.at) if decision else ""
        by = f", {decision.by}" if decision and decision.by else ""
        return Cell(theme.state.capitalize(), sub=when + by)

    of_state = [Head("State", state, number=False)] if decided else []
    return [
        Head("Question", question, number=False),
        *of_state,
        Head(
            "Turns",
            lambda t: Cell(
                formats.count(t.turns), line=sparkline(t.trend), sub=formats.percent(t.share)
            ),
            figure="theme_turns",
        ),
        Head("Before", lambda t: formats.count(t.previous), figure="theme_turns_before"),
        Head("Conversations", lambda t: counted(t.conversations, address(t))),
        Head("Taken for", taken_for, number=False),
        Head("As it was asked", examples, number=False, figure="unanswered_turns"),
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else text[:_LONG] + "\u2026"


def body(asking: Asking) -> Body:
    """What stands on the page of intents."""
    found = nlu.intents(asking.store, asking.scope, asking.window, asking.filters)
    return Body(
        cards=_cards(found, asking.view),
        panels=[
            Later("unanswered", "Unanswered questions", asking.view.at("/intents/unanswered")),
            _intents(found, asking.view),
            _topics(asking),
            _entities(asking),
            _sentiments(asking),
        ],
        empty=not found.turns,
    )


INTENTS: Final = Sheet(
    "intents",
    "/intents",
    "Intents",
    "unsure",
    "What do people ask for, and where are they not understood?",
    body,
    {
        "unanswered": lambda asking: [unanswered_themes(asking)],
    },
)
