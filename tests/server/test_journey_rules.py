"""Rules of journeys that hold for every input: against plain Python, and against disorder."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.drop_off import drop_off
from otel_chat.server.questions.funnel import funnel
from otel_chat.server.questions.journeys import incomplete, paths
from otel_chat.server.questions.nlu import intents
from otel_chat.server.questions.overview import overview
from otel_chat.server.questions.repeat_contact import repeat_contact
from otel_chat.server.questions.workflows import workflows
from tests.examples import examples
from tests.server.given import Given, at
from tests.server.test_invariants import NAMES, WINDOW, Day, left_open, ordinary, turns

if TYPE_CHECKING:
    from otel_chat.server.questions.journeys import IntentPath, Transition
    from otel_chat.server.store import Store

FLOWS = ("order", "refund")
SETTLED = replace(WINDOW, now=at(90_000))

events = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["workflow.started", "workflow.completed", "workflow.failed"]),
            "conversation": st.sampled_from(NAMES),
            "seconds": st.integers(0, 3000),
            "workflow": st.sampled_from(FLOWS),
            "step": st.sampled_from(["", "cart", "pay"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("action"),
            "conversation": st.sampled_from(NAMES),
            "seconds": st.integers(0, 3000),
            "action": st.sampled_from(["look", "buy"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("conversation.end"),
            "conversation": st.sampled_from(NAMES),
            "seconds": st.integers(0, 3000),
            "outcome": st.sampled_from(["", "resolved", "failed", "abandoned"]),
        }
    ),
)
users = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["", "u", "v"]))


def made(talks: list[dict[str, Any]], happened: list[dict[str, Any]], who: dict[str, str]) -> Day:
    """A day whose conversations belong to users."""
    return Day(
        [turn | {"user_hash": who.get(turn["conversation"], "")} for turn in talks], happened
    )


days = st.builds(
    made,
    st.lists(turns, max_size=12, unique_by=lambda turn: turn["seconds"]),
    st.lists(events, max_size=12, unique_by=lambda event: event["seconds"]),
    users,
)


def stored(store: Store, day: Day) -> tuple[Store, Any, Any, Filters]:
    """What to ask a query with, once everything has settled."""
    tenant = day.into(Given(store))
    tenant.save()
    return store, tenant.scope, SETTLED, Filters()


def sequences(day: Day) -> list[list[str]]:
    """The intents of each conversation in order."""
    ordered = sorted(day.turns, key=lambda turn: turn["seconds"])
    every = [
        [turn["intent"] for turn in ordered if turn["conversation"] == name and turn["intent"]]
        for name in NAMES
    ]
    return [sequence for sequence in every if sequence]


@ordinary
@given(day=days)
def test_transitions_and_paths_agree_with_plain_python(store: Store, day: Day) -> None:
    """Counted from the sequences; of each origin the shares sum to 1; ways in are ways out."""
    found = paths(*stored(store, day), 200)
    steps = Counter(
        step for sequence in sequences(day) for step in pairwise([None, *sequence, None])
    )
    assert {(one.origin, one.target): one.count for one in found.transitions} == steps
    whole = Counter(
        tuple(name for before, name in pairwise([None, *sequence]) if name != before)[:10]
        for sequence in sequences(day)
    )
    assert {tuple(one.intents): one.conversations for one in found.paths if not one.longer} == {
        names: count for names, count in whole.items() if len(names) < 10
    } | {tuple(one.intents): one.conversations for one in found.paths if len(one.intents) == 10}
    assert sum(one.conversations for one in found.paths) == found.settled == found.conversations
    for origin in {one.origin for one in found.transitions}:
        shares = [one.share for one in found.transitions if one.origin == origin]
        assert sum(shares) == pytest.approx(1)
    counted: list[Transition | IntentPath] = [*found.transitions, *found.paths]
    for one in counted:
        assert sum(one.outcomes.model_dump().values()) == one.conversations


@ordinary
@given(day=days)
def test_switched_are_the_transitions_to_another_intent(store: Store, day: Day) -> None:
    """Over a window that holds whole conversations both say the same."""
    asked = stored(store, day)
    away: Counter[str] = Counter()
    for one in paths(*asked, 200).transitions:
        if one.origin is not None and one.target not in {None, one.origin}:
            away[one.origin] += one.count
    for intent in intents(*asked).items:
        assert intent.switched == away[intent.name] <= intent.turns
        assert intent.switched_rate is None or 0 <= intent.switched_rate <= 1


@ordinary
@given(day=days)
def test_drop_off_is_never_negative_and_sums_to_the_outcomes(store: Store, day: Day) -> None:
    """By intent the parts are all that were abandoned or failed; by step never more than these."""
    asked = stored(store, day)
    found, whole = drop_off(*asked), overview(*asked)
    assert found.dropped == whole.outcomes.abandoned + whole.outcomes.failed
    assert found.settled == whole.containment.settled
    assert sum(one.dropped for one in found.intents) == found.dropped
    assert sum(one.dropped for one in found.steps) <= found.dropped
    for one in (*found.intents, *found.steps):
        assert 0 <= one.dropped <= one.reached
        assert 0 <= one.rate <= 1
        assert one.share is None or 0 <= one.share <= 1
    by_name = {one.intent: one.dropped for one in found.intents if one.intent}
    assert by_name == {one.name: one.dropped for one in intents(*asked).items}


@ordinary
@given(day=days)
def test_runs_of_workflows_are_completed_failed_left_or_running(store: Store, day: Day) -> None:
    """The parts sum to the whole, and what is left open is what makes a conversation abandoned."""
    found = {one.name: one for one in workflows(*stored(store, day)).items}
    there = {turn["conversation"] for turn in day.turns}
    about = [event for event in day.events if event["conversation"] in there]
    assert set(found) == {event["workflow"] for event in about if "workflow" in event}
    for name, one in found.items():
        kinds = Counter(event["kind"] for event in about if event.get("workflow") == name)
        assert one.completed == kinds["workflow.completed"]
        assert one.failed == kinds["workflow.failed"]
        assert one.started == one.completed + one.failed + one.left_open + one.running
        assert one.started >= kinds["workflow.started"]
        assert 0 <= one.completion_rate <= 1
        left = {
            talk
            for talk in there
            if left_open([event for event in about if event["conversation"] == talk], name)
        }
        assert (one.left_open > 0) == bool(left)
        for step in one.steps:
            assert 0 <= step.dropped <= step.settled <= step.conversations <= one.conversations


STEPS = ("turn", "intent:buy", "intent", "handoff", "action:buy", "action", "workflow:order")


def is_step(step: str, thing: dict[str, Any]) -> bool:
    kind, _, name = step.partition(":")
    if "kind" not in thing:
        matches = {"turn": True, "intent": thing["intent"] != "", "handoff": thing["handoff"]}
        return matches.get(kind, False) and (not name or thing["intent"] == name)
    if kind == "workflow":
        return thing["kind"] == "workflow.started" and thing["workflow"] == name
    return kind == "action" == thing["kind"] and (not name or thing["action"] == name)


def runs(steps: list[str], things: list[dict[str, Any]]) -> list[list[int]]:
    """All runs through the steps, from every beginning and by every choice, as indices."""
    found: list[list[int]] = []

    def go_on(run: list[int]) -> None:
        found.append(run)
        if len(run) == len(steps):
            return
        kind = steps[len(run)].partition(":")[0]
        taken = {at for at, step in zip(run, steps, strict=False) if step.startswith(kind)}
        for index, thing in enumerate(things):
            late = not run or thing["seconds"] >= things[run[-1]]["seconds"]
            if late and index not in taken and is_step(steps[len(run)], thing):
                go_on([*run, index])

    go_on([])
    return found


@examples(10, 125)
@given(
    day=days,
    steps=st.lists(st.sampled_from(STEPS), min_size=2, max_size=4),
    within=st.one_of(st.none(), st.integers(1, 2000)),
)
def test_funnels_agree_with_all_that_could_be_tried(
    store: Store, day: Day, steps: list[str], within: int | None
) -> None:
    """The longest run of each conversation, tried in every way; its times, the earliest."""
    found = funnel(*stored(store, day), steps, within)
    best: list[list[int]] = []
    for name in {turn["conversation"] for turn in day.turns}:
        things = [thing for thing in (*day.turns, *day.events) if thing["conversation"] == name]
        timed = [[things[index]["seconds"] for index in run] for run in runs(steps, things)]
        near = [run for run in timed if within is None or not run or run[-1] - run[0] <= within]
        best.append(min(near, key=lambda run: (-len(run), run)))
    reached = [sum(len(run) >= number for run in best) for number in range(1, len(steps) + 1)]
    assert [one.conversations for one in found.steps] == reached
    assert found.conversations == len(best)
    for number, one in enumerate(found.steps[1:], 1):
        gaps = [run[number] - run[number - 1] for run in best if len(run) > number]
        assert one.median_time == (median(gaps) if gaps else None)
        assert one.lost >= 0
        assert one.share_of_previous is None or 0 <= one.share_of_previous <= 1


@ordinary
@given(day=days)
def test_incomplete_and_repeat_contact_agree_with_plain_python(store: Store, day: Day) -> None:
    """Incomplete as the overview's outcomes allow; whoever came back did so after the start."""
    asked = stored(store, day)
    whole, page = overview(*asked), incomplete(*asked)
    ended = {event["conversation"] for event in day.events if event["kind"] == "conversation.end"}
    assert page.total == len(page.items) <= whole.conversations - whole.outcomes.resolved
    assert not ended & {one.conversation_id for one in page.items}
    assert all(one.outcome not in {"open", "resolved"} for one in page.items)
    starts: dict[str, float] = {}
    owner: dict[str, str] = {}
    for turn in sorted(day.turns, key=lambda turn: turn["seconds"]):
        starts.setdefault(turn["conversation"], turn["seconds"])
        owner[turn["conversation"]] = turn["user_hash"]
    known = [name for name in starts if owner[name]]
    returned = [
        name
        for name in known
        if any(owner[other] == owner[name] and starts[other] > starts[name] for other in known)
    ]
    found = repeat_contact(*asked)
    assert (found.with_user, found.all.observed) == (len(known), len(known))
    assert found.all.returned == len(returned)
    assert found.contained.returned <= found.all.returned
    assert found.contained.observed <= found.all.observed


def everything(tenant: Given) -> list[Any]:
    asked = (tenant.store, tenant.scope, SETTLED, Filters())
    listed = incomplete(*asked)
    return [
        paths(*asked),
        drop_off(*asked),
        drop_off(*asked, "annotation"),
        workflows(*asked),
        repeat_contact(*asked),
        funnel(*asked),
        funnel(*asked, ("intent", "action", "workflow_step:pay"), 600),
        [one.model_dump(exclude={"tenant"}) for one in listed.items],
    ]


@examples(2, 15)
@given(day=days, seed=st.integers(0, 2**16))
def test_order_duplicates_and_regrouping_change_no_journey(
    store: Store, day: Day, seed: int
) -> None:
    """The same rows once in order, and three times over, shuffled and cut otherwise."""
    once, often = day.into(Given(store)), Given(store)
    often.rows = [(kind, row | {"tenant": often.tenant}) for kind, row in once.rows]
    once.save()
    for repeat in range(3):
        often.save(shuffle=seed + repeat)
    assert everything(once) == everything(often)
