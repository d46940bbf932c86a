"""The page of journeys: which ways conversations take, and where they end too early."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from otel_chat.server.figures.conversation_rows import ARROW, END, STEPS
from otel_chat.server.pages import formats, links
from otel_chat.server.pages.flows import Flow, Place, Way, draw
from otel_chat.server.pages.links import GIVEN_UP
from otel_chat.server.pages.overview import OUTCOMES, Card, meanings, opening
from otel_chat.server.pages.sheets import Asking, Body, Later, Sheet
from otel_chat.server.pages.tables import Cell, Head, Table, counted, rate, table
from otel_chat.server.questions import drop_off, journeys, repeat_contact, workflows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_chat.server.pages.links import View
    from otel_chat.server.questions.drop_off import DropOff, IntentDropOff, StepDropOff

_SOME: Final = 15
_LISTED: Final = 12
_MANY_DROPPED: Final = 0.3


def _cards(
    dropped: DropOff, repeat: repeat_contact.RepeatContact, incomplete: int, view: View
) -> list[Card]:
    return [
        Card(
            key="dropped",
            label="Dropped",
            value=formats.percent(dropped.rate),
            note="",
            interval=formats.interval(dropped.dropped, dropped.settled),
            parts=[opening(view, dropped.dropped, "abandoned or failed", outcome=GIVEN_UP)],
            sample=f"of {formats.count(dropped.settled)} settled",
            meanings=meanings("dropped_ratio", "dropped_conversations"),
        ),
        Card(
            key="incomplete",
            label="Incomplete",
            value=formats.compact(incomplete),
            note="nobody ended them, not resolved",
            sample=f"of {formats.count(dropped.settled)} settled",
            meanings=meanings("incomplete_conversations_listed"),
        ),
        Card(
            key="repeat",
            label="Came back",
            value=formats.percent(repeat.all.rate),
            note=formats.plural(repeat.all.returned, "conversation"),
            interval=formats.interval(repeat.all.returned, repeat.all.observed),
            sample=f"of {formats.count(repeat.all.observed)} observed",
            meanings=meanings("repeat_contact_ratio", "repeat_contact_observed"),
        ),
    ]


def _transitions(found: journeys.Paths) -> Table:
    heads: list[Head[journeys.Transition]] = [
        Head("From", lambda t: t.origin or "(start)", number=False),
        Head("To", lambda t: t.target or "(end)", number=False),
        Head("Times", lambda t: formats.count(t.count), figure="transitions"),
        Head("Share", lambda t: rate(t.share), figure="transition_share"),
        Head("Resolved", lambda t: formats.count(t.outcomes.resolved)),
        Head("Handed off", lambda t: formats.count(t.outcomes.handed_off)),
        Head("Dropped", lambda t: formats.count(t.outcomes.abandoned + t.outcomes.failed)),
    ]
    return table(
        "transitions",
        "From intent to intent",
        "What do people ask next?",
        heads,
        found.transitions,
        nothing="No turn of these conversations has an intent.",
        how='turn.intent("refund", confidence=0.9)',
        others=found.transitions_not_listed,
        wide=True,
        shown=_SOME,
    )


def _paths(found: journeys.Paths, view: View) -> Table:
    def such(path: journeys.IntentPath, **more: str | Sequence[str]) -> str:
        if len(path.intents) > STEPS:  # of its further steps nothing can be asked for
            return ""
        pairs = pairwise([*path.intents, END])
        ways = (f"{number} {one}{ARROW}{then}" for number, (one, then) in enumerate(pairs, 1))
        whole = " and ".join(f"way = {json.dumps(way, ensure_ascii=False)}" for way in ways)
        there = view.value("where")
        where = f"({there}) and {whole}" if there else whole
        return view.narrowed(links.LIST, **{"state": "settled", "where": where, **more})

    heads: list[Head[journeys.IntentPath]] = [
        Head(
            "Path",
            lambda p: ARROW.join(p.intents) + (f"{ARROW}\u2026" if p.longer else ""),
            number=False,
        ),
        Head(
            "Conversations",
            lambda p: counted(p.conversations, such(p)),
            figure="path_conversations",
        ),
        Head(
            "Share",
            lambda p: rate(p.share, part=p.conversations, of=found.settled, href=such(p)),
            figure="path_share",
        ),
        Head("Resolved", lambda p: counted(p.outcomes.resolved, such(p, outcome="resolved"))),
        Head("Handed off", lambda p: counted(p.outcomes.handed_off, such(p, outcome="handed_off"))),
        Head(
            "Dropped",
            lambda p: counted(p.outcomes.abandoned + p.outcomes.failed, such(p, outcome=GIVEN_UP)),
        ),
    ]
    return table(
        "paths",
        "Whole paths",
        "Which ways do settled conversations take from start to end?",
        heads,
        found.paths,
        nothing="No settled conversation has an intent.",
        how='turn.intent("refund", confidence=0.9)',
        others=found.paths_not_listed,
        shown=_LISTED,
    )


def _flow(found: journeys.Ways, view: View) -> Flow:
    keys = {label: key for key, label in OUTCOMES}
    ways = [Way(way.steps, dict(OUTCOMES)[way.outcome], way.conversations) for way in found.items]
    drawn = sum(way.count for way in ways)

    def opening(origin: Place, target: Place) -> str:
        if drawn < found.settled:  # those that are not drawn go the same ways
            return ""
        ends = target[1] in keys and target[0] == last
        way = f"{origin[0] + 1} {origin[1]}{ARROW}{END if ends else target[1]}"
        how = {"outcome": keys[target[1]]} if ends else {"state": "settled"}
        return view.narrowed(links.LIST, way=way, **how)

    last = min(max((len(way.steps) for way in ways), default=0), STEPS)
    nodes, ribbons, height = draw(ways, [(label, key) for key, label in OUTCOMES], opening)
    return Flow(
        "flow",
        "The ways that are taken",
        "What comes after what, and how does it end? A ribbon opens its conversations.",
        nodes,
        ribbons,
        height,
        meanings=[
            ("Width", "So many conversations go from one intent to the next."),
            ("Columns", f"The first {STEPS} intents, one after the other; then the outcome."),
            (
                "Left out",
                "Greetings, thanks, yes and no; an intent that comes again at once is one.",
            ),
        ],
        sample=f"{drawn:,} of {formats.plural(found.settled, 'settled conversation')}.",
    )


def _by_intent(dropped: DropOff, asking: Asking) -> Table:
    def dropped_at(point: IntentDropOff) -> Cell:
        return counted(point.dropped, such(point))

    def of_those_here(point: IntentDropOff) -> Cell:
        many = {"bad_from": _MANY_DROPPED}
        return rate(point.rate, **many, part=point.dropped, of=point.reached, href=such(point))

    def such(point: IntentDropOff) -> str:
        if not point.intent:
            return ""
        return asking.view.narrowed(links.LIST, last_intent=point.intent, outcome=GIVEN_UP)

    every = sum(point.dropped for point in dropped.intents)
    heads: list[Head[IntentDropOff]] = [
        Head("Last intent", lambda p: p.intent or "(no intent)", number=False),
        Head("Dropped", dropped_at, figure="drop_offs"),
        Head(
            "Share",
            lambda p: rate(p.share, part=p.dropped, of=every, href=such(p)),
            figure="drop_off_share",
        ),
        Head("Of those here", of_those_here, figure="drop_off_ratio"),
    ]
    return table(
        "drop-off-intents",
        "Drop-off by intent",
        "After which intent do people leave without an answer?",
        heads,
        [point for point in dropped.intents if point.dropped],
        nothing="No settled conversation was abandoned or failed.",
        shown=_SOME,
    )


def _by_step(dropped: DropOff) -> Table:
    heads: list[Head[StepDropOff]] = [
        Head("Workflow", lambda p: p.workflow, number=False),
        Head("Step", lambda p: p.step or "(before any)", number=False),
        Head("Dropped", lambda p: formats.count(p.dropped), figure="drop_offs"),
        Head(
            "Of those here",
            lambda p: rate(p.rate, bad_from=_MANY_DROPPED, part=p.dropped, of=p.reached),
            figure="drop_off_ratio",
        ),
    ]
    return table(
        "drop-off-steps",
        "Drop-off in a workflow",
        "At which step do people leave?",
        heads,
        [point for point in dropped.steps if point.dropped],
        nothing="No workflow was left open or failed.",
        how='turn.workflow("return", "started", step="address")',
        shown=_SOME,
    )


def _workflows(asking: Asking) -> Table:
    found = workflows.workflows(asking.store, asking.scope, asking.window, asking.filters)
    heads: list[Head[workflows.Workflow]] = [
        Head("Workflow", lambda w: w.name, number=False),
        Head("Started", lambda w: formats.count(w.started), figure="workflows_started"),
        Head("Completed", lambda w: formats.count(w.completed), figure="workflows_completed"),
        Head("Failed", lambda w: formats.count(w.failed), figure="workflows_failed"),
        Head(
            "Completion",
            lambda w: rate(w.completion_rate, part=w.completed, of=w.started),
            figure="workflow_completion_ratio",
        ),
        Head("Median time", lambda w: formats.duration(w.duration.p50)),
    ]
    return table(
        "workflows",
        "Workflows",
        "Do people get to the end of what they start?",
        heads,
        found.items,
        nothing="No workflows were reported.",
        how='turn.workflow("return", "started", step="address")',
        others=found.others,
        wide=True,
    )


def _incomplete(found: journeys.Incomplete, *, tenants: bool) -> Table:
    heads: list[Head[journeys.IncompleteConversation]] = [
        Head(
            "Conversation",
            lambda c: Cell(
                c.conversation_id or "(no id)",
                links.conversation(c.conversation_id, tenant=c.tenant if tenants else None),
            ),
            number=False,
        ),
        Head("Last activity", lambda c: formats.when(c.last_at), number=False),
        Head("Outcome", lambda c: c.outcome.replace("_", " "), number=False),
        Head("Last intent", lambda c: c.last_intent or "(none)", number=False),
        Head("Step", lambda c: c.step or "", number=False),
        Head("Turns", lambda c: formats.count(c.turns)),
    ]
    return table(
        "incomplete",
        "Latest incomplete conversations",
        "Which ones should somebody look at?",
        heads,
        found.items,
        nothing="Every settled conversation was ended or resolved.",
        others=found.total - len(found.items),
        wide=True,
    )


def body(asking: Asking) -> Body:
    """What stands on the page of journeys."""
    asked = (asking.store, asking.scope, asking.window, asking.filters)
    submit = asking.store.submit
    dropped_asked = submit(drop_off.drop_off, *asked)
    incomplete_asked = submit(journeys.incomplete, *asked, limit=_SOME)
    repeat_asked = submit(repeat_contact.repeat_contact, *asked)
    drawn_asked = submit(journeys.ways, *asked)
    ways = journeys.paths(*asked, limit=_LISTED + _SOME, merged=True)
    dropped, incomplete = dropped_asked.result(), incomplete_asked.result()
    several = asking.scope.tenants is None or len(asking.scope.tenants) > 1
    return Body(
        cards=_cards(dropped, repeat_asked.result(), incomplete.total, asking.view),
        panels=[
            _paths(ways, asking.view),
            _flow(drawn_asked.result(), asking.view),
            _transitions(ways),
            _by_intent(dropped, asking),
            _by_step(dropped),
            Later("workflows", "Workflows", asking.view.at("/journeys/workflows")),
            _incomplete(incomplete, tenants=several),
        ],
        empty=not ways.conversations and not dropped.settled,
    )


JOURNEYS: Final = Sheet(
    "journeys",
    "/journeys",
    "Journeys",
    "journey",
    "Which ways do conversations take, and where do they end too early?",
    body,
    {"workflows": lambda asking: [_workflows(asking)]},
)
