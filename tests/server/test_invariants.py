"""Rules that hold for every input: against a model in plain Python, and against disorder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.business import business
from otel_chat.server.questions.conversations import conversations
from otel_chat.server.questions.interactions import interaction_statistics, interactions
from otel_chat.server.questions.nlu import intents
from otel_chat.server.questions.overview import Overview, overview, series
from otel_chat.server.questions.subjects import entities, sentiments, topics
from tests.examples import examples
from tests.server.given import DAY, Given, at

if TYPE_CHECKING:
    from otel_chat.server.store import Store

WINDOW = replace(DAY, now=at(3600))
NAMES = ("a", "b", "c")

turns = st.fixed_dictionaries(
    {
        "conversation": st.sampled_from(NAMES),
        "seconds": st.integers(0, 3000),
        "status": st.sampled_from(["ok", "error", "cancelled"]),
        "fallback": st.sampled_from([None, True, False]),
        "confidence": st.one_of(st.none(), st.floats(0, 1)),
        "handoff": st.sampled_from([False, False, False, True]),
        "intent": st.sampled_from(["", "buy", "pay"]),
        "cost": st.one_of(st.none(), st.decimals(0, 5, places=9).map(str)),
        "input_tokens": st.one_of(st.none(), st.integers(0, 5000)),
        "duration": st.integers(1, 10_000).map(lambda ms: ms / 1000),
    }
)
events = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(
                [
                    "action",
                    "handoff.requested",
                    "workflow.started",
                    "workflow.completed",
                    "workflow.failed",
                ]
            ),
            "conversation": st.sampled_from(NAMES),
            "seconds": st.integers(0, 3000),
            "workflow": st.sampled_from(["order", "refund"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("feedback"),
            "conversation": st.sampled_from(NAMES),
            "seconds": st.integers(0, 3000),
            "value": st.integers(1, 5),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("conversation.end"),
            "conversation": st.sampled_from(NAMES),
            "seconds": st.integers(0, 3000),
            "outcome": st.sampled_from(["", "resolved", "failed", "abandoned", "handed_off"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("message"),
            "conversation": st.sampled_from(NAMES),
            "seconds": st.integers(0, 3000),
            "sender": st.sampled_from(["user", "assistant", "system", "human"]),
        }
    ),
)


@dataclass
class Day:
    """What happened, with no two things at the same moment."""

    turns: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def into(self, tenant: Given) -> Given:
        """The same things in a tenant, not yet saved."""
        for turn in self.turns:
            tenant.turn(**turn)
        for event in self.events:
            columns = {key: value for key, value in event.items() if key != "kind"}
            if event["kind"] == "feedback":
                tenant.feedback(**columns)
            else:
                tenant.event(event["kind"], **columns)
        return tenant


days = st.builds(
    Day,
    st.lists(turns, max_size=12, unique_by=lambda turn: turn["seconds"]),
    st.lists(events, max_size=10, unique_by=lambda event: event["seconds"]),
)

ordinary = examples(5, 50)


def told(name: str, day: Day, idle_after: float) -> tuple[str, bool]:
    """The outcome by the rules of the definition, said once more in plain Python."""
    mine = sorted((t for t in day.turns if t["conversation"] == name), key=lambda t: t["seconds"])
    about = [e for e in day.events if e["conversation"] == name]
    ends = sorted((e for e in about if e["kind"] == "conversation.end"), key=lambda e: e["seconds"])
    moments = [t["seconds"] + t["duration"] for t in mine]
    moments += [e["seconds"] for e in about if e["kind"] != "feedback"]
    named = [e["outcome"] for e in ends if e["outcome"]]
    values = [e["value"] for e in about if e["kind"] == "feedback"]
    asked = any(e["kind"] == "handoff.requested" for e in about)
    rules = [
        (not ends and max(moments) > idle_after, ("open", False)),
        (bool(named), (named[-1] if named else "", named[-1:] == ["resolved"])),
        (asked or any(turn["handoff"] for turn in mine), ("handed_off", False)),
        (mine[-1]["status"] == "error", ("failed", False)),
        (any(value >= 4 for value in values), ("resolved", True)),
        (mine[-1]["fallback"] is True, ("abandoned", False)),
        (any(value <= 2 for value in values), ("abandoned", False)),
        (any(left_open(about, flow) for flow in ("order", "refund")), ("abandoned", False)),
        (True, ("resolved", False)),
    ]
    return next(outcome for holds, outcome in rules if holds)


def left_open(about: list[dict[str, Any]], flow: str) -> bool:
    """Whether a workflow was started more often than it ended."""
    kinds = [event["kind"] for event in about if event.get("workflow") == flow]
    ended = kinds.count("workflow.completed") + kinds.count("workflow.failed")
    return kinds.count("workflow.started") > ended


@ordinary
@given(day=days)
def test_outcomes_agree_with_the_definition_in_plain_python(store: Store, day: Day) -> None:
    """Whatever happened in a day, each conversation ends as the rules say."""
    tenant = day.into(Given(store))
    tenant.save()
    found = conversations(store, tenant.scope, WINDOW, Filters()).items
    expected = {
        name: told(name, day, 1800) for name in {turn["conversation"] for turn in day.turns}
    }
    assert {one.conversation_id: (one.outcome, one.confirmed) for one in found} == expected


@ordinary
@given(day=days)
def test_rates_lie_between_0_and_1_and_parts_sum_to_the_whole(store: Store, day: Day) -> None:
    """Of every headline figure, over the day and over each hour of it."""
    tenant = day.into(Given(store))
    tenant.save()
    whole = overview(store, tenant.scope, WINDOW, Filters())
    hours = series(store, tenant.scope, WINDOW, Filters(), "1h").points
    for one in (whole, *hours):
        rates = (
            one.confidence.low_rate,
            one.fallback.rate,
            one.handoffs.rate,
            one.errors.rate,
            one.containment.rate,
            one.resolution.low,
            one.resolution.high,
            one.satisfaction.mean,
        )
        assert all(rate is None or 0 <= rate <= 1 for rate in rates)
        assert sum(one.outcomes.model_dump().values()) == one.conversations
        assert one.confidence.low + one.confidence.high == one.confidence.count
        assert one.containment.settled + one.active_conversations == one.conversations
        assert one.resolution.confirmed + one.resolution.assumed == one.outcomes.resolved
        assert sum(one.messages_by_sender.model_dump().values()) == one.messages
        assert one.engagement.score is None or 0 <= one.engagement.score <= 100
    assert sum(point.turns for point in hours) == whole.turns
    assert sum(point.conversations for point in hours) == whole.conversations
    assert sum(point.cost.amount or 0 for point in hours) == (whole.cost.amount or 0)


def _everything(tenant: Given) -> list[Any]:
    """Every figure of a tenant, without the tenant's name."""
    ask = (tenant.store, tenant.scope, WINDOW, Filters())
    answers = [
        overview(*ask),
        series(*ask, "1h"),
        conversations(*ask),
        interactions(*ask),
        interaction_statistics(*ask),
        intents(*ask),
        topics(*ask),
        entities(*ask),
        sentiments(*ask),
        business(*ask),
    ]
    return [_without_tenant(answer.model_dump(), tenant.tenant) for answer in answers]


def _without_tenant(answer: Any, tenant: str) -> Any:
    if isinstance(answer, dict):
        return {key: _without_tenant(value, tenant) for key, value in answer.items()}
    if isinstance(answer, list):
        return [_without_tenant(value, tenant) for value in answer]
    return "" if answer == tenant else answer


@examples(3, 20)
@given(day=days, seed=st.integers(0, 2**16))
def test_order_duplicates_and_regrouping_change_no_figure(
    store: Store, day: Day, seed: int
) -> None:
    """The same rows once in order, and three times over, shuffled and cut otherwise."""
    once, often = day.into(Given(store)), Given(store)
    often.rows = [(kind, row | {"tenant": often.tenant}) for kind, row in once.rows]
    once.save()
    for repeat in range(3):
        often.save(shuffle=seed + repeat)
    assert _everything(once) == _everything(often)


@examples(3, 20)
@given(day=days)
def test_repeated_questions_have_the_same_answer(store: Store, day: Day) -> None:
    """Means, sums and quantiles agree to the last digit from run to run."""
    tenant = day.into(Given(store))
    tenant.save()
    assert _everything(tenant) == _everything(tenant)


@examples(3, 30)
@given(day=days, value=st.integers(1, 5))
def test_late_feedback_changes_only_what_it_should(store: Store, day: Day, value: int) -> None:
    """Feedback in one conversation leaves the figures of turns and the others' outcomes."""
    tenant = day.into(Given(store))
    tenant.save()
    later = replace(WINDOW, now=WINDOW.now + timedelta(days=3))
    ask = (store, tenant.scope, later, Filters())
    before, first = overview(*ask), conversations(*ask)
    tenant.feedback(value, "a", 2 * 86400)
    tenant.save()
    after, second = overview(*ask), conversations(*ask)
    assert _of_turns(before) == _of_turns(after)
    others = [[one for one in page.items if one.conversation_id != "a"] for page in (first, second)]
    assert others[0] == others[1]


def _of_turns(answer: Overview) -> list[Any]:
    return [
        answer.turns,
        answer.messages,
        answer.conversations,
        answer.response_time,
        answer.tokens,
        answer.confidence,
        answer.fallback,
        answer.errors,
        answer.cost,
    ]


@examples(3, 30)
@given(day=days, limit=st.integers(1, 5))
def test_pages_hold_each_conversation_and_turn_once(store: Store, day: Day, limit: int) -> None:
    """Pages of any size, put together, are the whole list in its order."""
    tenant = day.into(Given(store))
    tenant.save()
    ask = (store, tenant.scope, WINDOW, Filters())
    for listing in (conversations, interactions):
        whole = listing(*ask).items
        paged, cursor = [], None
        while True:
            page = listing(*ask, limit, cursor)
            paged += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
            assert len(page.items) == limit
        assert paged == whole
