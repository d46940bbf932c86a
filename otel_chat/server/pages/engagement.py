"""The page of engagement: who comes, how long they stay, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_chat.semconv import EVENT_LEAD
from otel_chat.server.pages import formats
from otel_chat.server.pages.charts import Chart, Column, Course
from otel_chat.server.pages.links import LIST
from otel_chat.server.pages.overview import Card, Opening, meanings, opening
from otel_chat.server.pages.sheets import Asking, Body, Later, Panel, Sheet
from otel_chat.server.pages.tables import Cell, Head, Table, counted, furthest, rate, table
from otel_chat.server.questions import engagement, funnel, leads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_chat.server.pages.links import View

_SHOWN: Final = 8
_DIMENSIONS: Final[dict[engagement.Dimension, tuple[str, str, str]]] = {
    "device": (
        "Devices",
        "None was told: pass the User-Agent header on, as the middleware does.",
        "",
    ),
    "browser": (
        "Browsers",
        "None was told: pass the User-Agent header on, as the middleware does.",
        "",
    ),
    "page": ("Pages", "None was told: report page= with a turn.", "visited"),
    "referrer": ("Referrers", "None was told: report referrer= with a turn.", "first_referrer"),
    "channel": ("Channels", "None was told: report channel= with a turn.", "first_channel"),
    "user_type": (
        "User types",
        "None was told: report user_type= with a turn.",
        "first_user_type",
    ),
}
"""What conversations are parted by: its heading, what to do where it is not told, its filter."""
_STEPS: Final = {
    "turn": "Said something",
    "intent": "Were understood: an intent matched",
    "outcome:resolved": "Were resolved",
}
"""The steps of the funnel, and what they are called."""


def _converted(view: View, **more: str) -> str:
    return view.narrowed(LIST, event=EVENT_LEAD, **more)


def _cards(found: engagement.ConversationEngagement, made: leads.Leads, view: View) -> list[Card]:
    users, turns = found.users, found.turns
    return [
        Card(
            key="length",
            label="Length",
            value=formats.NO_DATA if turns.p50 is None else f"{turns.p50:.3g}",
            note="turns, median",
            sample=formats.plural(found.conversations, "conversation"),
            meanings=meanings("conversation_turns"),
            parts=[Opening("the longest", view.narrowed(LIST, sort="-turns"))],
        ),
        Card(
            key="duration",
            label="Duration",
            value=formats.duration(found.duration.p50),
            note="median",
            sample=formats.plural(found.conversations, "conversation"),
            meanings=meanings("conversation_duration"),
            parts=[Opening("the longest", view.narrowed(LIST, sort="-duration"))],
        ),
        Card(
            key="returning",
            label="Came back",
            value=formats.percent(users.returning_rate),
            note=f"{formats.plural(users.returning, 'user')} of the window before"
            if users.users
            else "no user was told: report user_id= with a turn",
            sample=formats.plural(users.users, "user"),
            interval=formats.interval(users.returning, users.users),
            meanings=meanings("users", "returning_users", "returning_user_ratio"),
        ),
        Card(
            key="converted",
            label="Made a lead",
            value=formats.percent(made.conversion_rate if made.leads else None),
            note="" if made.leads else "no lead was told: call turn.lead(kind)",
            sample=f"of {formats.count(made.conversations)}",
            interval=formats.interval(made.converted, made.conversations) if made.leads else "",
            meanings=meanings("converted_conversations", "conversion_ratio", "leads"),
            parts=[opening(view, made.converted, "conversations", event=EVENT_LEAD)]
            if made.leads
            else (),
        ),
    ]


def _lengths(found: engagement.ConversationEngagement, view: View) -> Chart:
    def label(one: engagement.LengthBin) -> str:
        if one.high is None:
            return f"{one.low} or more"
        return f"{one.low}" if one.low == one.high else f"{one.low} to {one.high}"

    def href(one: engagement.LengthBin) -> str:
        most = {} if one.high is None else {"turns_max": f"{one.high}"}
        return view.narrowed(LIST, turns_min=f"{one.low}", **most)

    return Chart(
        "lengths",
        "Lengths of conversations",
        "Is it one question and an answer, or a long talk?",
        [(None, label(one)) for one in found.lengths],
        [
            Column(
                "Conversations",
                [one.conversations for one in found.lengths],
                formats.whole,
                kind="bar",
            )
        ],
        axis="Turns",
        meanings=meanings("conversation_turns"),
        sample=formats.plural(found.conversations, "conversation"),
        hrefs=[href(one) for one in found.lengths],
    )


def _course(made: leads.Leads, asking: Asking) -> Chart:
    course = Course.of(asking.window, made.bucket)
    return Chart(
        "leads",
        "Conversations with a lead",
        "Does more come of them than before?",
        course.rows,
        [
            Column(
                "With a lead", [point.converted for point in made.points], formats.whole, kind="bar"
            )
        ],
        meanings=meanings("converted_conversations"),
        sample=formats.plural(made.conversations, "conversation"),
        hrefs=course.hrefs(asking.view, LIST, event=EVENT_LEAD),
    )


def _kinds(made: leads.Leads, view: View) -> Table:
    def such(kind: leads.LeadKind) -> str:
        return view.narrowed(LIST, lead=kind.kind) if kind.kind else ""

    heads: list[Head[leads.LeadKind]] = [
        Head("Lead", lambda k: k.kind or "(not said)", number=False),
        Head("Leads", lambda k: formats.count(k.leads), figure="leads"),
        Head("Conversations", lambda k: counted(k.conversations, such(k))),
        Head(
            "Of all",
            lambda k: rate(
                k.conversion_rate, part=k.conversations, of=made.conversations, href=such(k)
            ),
            figure="conversion_ratio",
        ),
    ]
    return table(
        "lead-kinds",
        "Leads by kind",
        "What do conversations lead to?",
        heads,
        made.kinds,
        nothing="No lead was told: call turn.lead(kind) in the handler.",
        shown=_SHOWN,
        wide=bool(made.kinds),
    )


def _funnel(asking: Asking) -> Table:
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    found = funnel.funnel(*asked, tuple(_STEPS))
    first = found.steps[0].conversations if found.steps else 0
    heads: list[Head[funnel.FunnelStep]] = [
        Head("Step", lambda s: _STEPS.get(s.step, s.step), number=False),
        Head(
            "Conversations",
            lambda s: Cell(formats.count(s.conversations), share=s.share_of_first),
            figure="funnel_conversations",
        ),
        Head(
            "Of the first",
            lambda s: Cell(
                formats.percent(s.share_of_first), sub=formats.interval(s.conversations, first)
            ),
            figure="funnel_share_of_first",
        ),
        Head(
            "Of those before",
            lambda s: formats.percent(s.share_of_previous),
            figure="funnel_share_of_previous",
        ),
        Head("Lost", lambda s: formats.count(s.lost), figure="funnel_lost"),
        Head("After", lambda s: formats.duration(s.median_time), figure="funnel_time"),
    ]
    return table(
        "funnel",
        "Funnel",
        "How far do conversations get? Steps of your own: /api/v1/journeys/funnel?step=.",
        heads,
        found.steps if first else (),
        nothing="No conversation began in this window.",
        wide=True,
    )


def _by(dimension: engagement.Dimension, asking: Asking) -> Table:
    title, nothing, field = _DIMENSIONS[dimension]
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    found = engagement.segments(*asked, dimension)

    def such(one: engagement.Segment, **more: str) -> str:
        if not field or not one.name:
            return ""
        return asking.view.narrowed(LIST, **{field: one.name}, **more)

    heads: list[Head[engagement.Segment]] = [
        Head(title.removesuffix("s"), lambda s: s.name or "(not said)", number=False),
        Head("Conversations", lambda s: counted(s.conversations, such(s), s.share)),
        Head(
            "Resolved",
            lambda s: rate(
                s.resolved / s.conversations if s.conversations else None,
                part=s.resolved,
                of=s.conversations,
                href=such(s, outcome="resolved"),
            ),
        ),
        Head(
            "Engagement",
            lambda s: furthest(
                formats.whole(s.engagement_score),
                such(s, sort="engagement"),
                "the least engaged first",
            ),
            figure="engagement_mean",
        ),
    ]
    told = any(one.name for one in found.items)
    return table(
        f"by-{dimension.replace('_', '-')}",
        title,
        f"By which {title.lower()} do people come, and whom is helped?",
        heads,
        found.items if told else (),
        nothing=nothing,
        others=found.others if told else 0,
        shown=_SHOWN,
    )


def _where(*dimensions: engagement.Dimension) -> Callable[[Asking], Sequence[Panel]]:
    return lambda asking: [_by(one, asking) for one in dimensions]


PARTS: Final[dict[str, tuple[str, Callable[[Asking], Sequence[Panel]]]]] = {
    "funnel": ("Funnel", lambda asking: [_funnel(asking)]),
    "who": ("Channels and user types", _where("channel", "user_type")),
    "machines": ("Devices and browsers", _where("device", "browser")),
    "places": ("Pages and referrers", _where("page", "referrer")),
}
"""What is fetched after the rest, each on its own."""


def body(asking: Asking) -> Body:
    """What stands on the page of engagement."""
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    leading = asking.store.submit(leads.leads, *asked)
    found = engagement.engagement(*asked)
    made = leading.result()
    later = [
        Later(key, title, asking.view.at(f"/engagement/{key}")) for key, (title, _) in PARTS.items()
    ]
    return Body(
        cards=_cards(found, made, asking.view),
        panels=[
            _lengths(found, asking.view),
            _course(made, asking) if made.leads else _kinds(made, asking.view),
            *([_kinds(made, asking.view)] if made.leads else []),
            *later,
        ],
        empty=not found.conversations,
    )


ENGAGEMENT: Final = Sheet(
    "engagement",
    "/engagement",
    "Engagement",
    "people",
    "Who comes, how long do they stay, and what comes of it?",
    body,
    {key: make for key, (_, make) in PARTS.items()},
)
