"""Funnels, worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from otel_chat.errors import QueryError
from otel_chat.server.app import create_app
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.funnel import Funnel, funnel
from otel_chat.server.settings import ServerSettings
from tests.server.given import DAY, Given

if TYPE_CHECKING:
    from otel_chat.server.store import Store


def ask(
    given: Given, *steps: str, within: float | None = None, filters: Filters | None = None
) -> Funnel:
    given.save()
    return funnel(given.store, given.scope, DAY, filters or Filters(), steps, within)


def counts(found: Funnel) -> list[int]:
    return [one.conversations for one in found.steps]


def shop(given: Given, conversation: str, seconds: float, *, bought: bool) -> None:
    """Greets, starts to pay a minute later, and perhaps buys after two more."""
    given.turn(conversation, seconds, intent="greet")
    given.event("workflow.started", conversation, seconds + 60, workflow="checkout", step="cart")
    if bought:
        given.event("action", conversation, seconds + 180, action="purchase")


def test_shares_losses_and_times(given: Given) -> None:
    """Five conversations, four greeted, three of them checked out, two of these bought.

    From greet to checkout 60, 60 and 90 s: 60. From checkout to purchase 120 and 30 s: 75.
    From greet to purchase 180 and 120 s: 150.
    """
    shop(given, "a", 0, bought=True)
    shop(given, "b", 0, bought=False)
    given.turn("c", 0, intent="greet")
    given.event("workflow.started", "c", 90, workflow="checkout")
    given.event("action", "c", 120, action="purchase")
    given.turn("d", 0, intent="greet")
    given.turn("e", 0, intent="ask")
    found = ask(given, "intent:greet", "workflow:checkout", "action:purchase")
    assert (found.conversations, found.within, found.median_time) == (5, None, 150.0)
    assert [tuple(one.model_dump().values()) for one in found.steps] == [
        ("intent:greet", 4, 1.0, None, None, None),
        ("workflow:checkout", 3, 0.75, 0.75, 1, 60.0),
        ("action:purchase", 2, 0.5, 2 / 3, 1, 75.0),
    ]


def test_steps_count_in_their_order_only(given: Given) -> None:
    """Bought before greeting: no purchase after the greeting."""
    given.turn("a", 0)
    given.event("action", "a", 5, action="purchase")
    given.turn("a", 10, intent="greet")
    assert counts(ask(given, "intent:greet", "action:purchase")) == [1, 0]
    assert counts(ask(given, "action:purchase", "intent:greet")) == [1, 1]


def test_other_things_may_happen_between_the_steps(given: Given) -> None:
    """A second greeting and another action do not break a run; the first greeting counts."""
    given.turn("a", 0, intent="greet")
    given.event("action", "a", 5, action="look")
    given.turn("a", 10, intent="greet")
    given.event("action", "a", 30, action="purchase")
    found = ask(given, "intent:greet", "action:purchase")
    assert (counts(found), found.median_time) == ([1, 1], 30.0)


def test_what_happens_in_the_same_moment_is_in_order(given: Given) -> None:
    """A turn that was of the intent and handed over, and an action of the very same time."""
    given.turn("a", 0, intent="greet", handoff=True)
    given.event("action", "a", 0, action="call")
    found = ask(given, "intent:greet", "handoff", "action:call")
    assert (counts(found), found.median_time) == ([1, 1, 1], 0.0)
    assert counts(ask(given, "action:call", "handoff", "intent:greet")) == [1, 1, 1]


def test_a_turn_may_be_an_earlier_and_a_later_step(given: Given) -> None:
    """Turn, action, turn, where the first turn and the action are of the same moment."""
    given.event("action", "a", 0, action="call")
    given.turn("a", 0)
    assert counts(ask(given, "turn", "action", "turn")) == [1, 1, 0]
    given.turn("a", 5)
    assert counts(ask(given, "turn", "action", "turn")) == [1, 1, 1]


def test_two_steps_of_a_kind_take_two_turns(given: Given) -> None:
    """Greet twice is not greeted once; any intent and then greet are two turns as well."""
    given.turn("a", 0, intent="greet")
    given.turn("b", 0, intent="greet")
    given.turn("b", 10, intent="greet")
    assert counts(ask(given, "intent:greet", "intent:greet")) == [2, 1]
    assert counts(ask(given, "intent", "intent:greet")) == [2, 1]
    assert counts(ask(given, "turn", "turn", "turn")) == [2, 1, 0]


def test_within_counts_from_the_first_step(given: Given) -> None:
    """Steps at 0, 60 and 180 s: within 60 the second is reached, within 59 it is not."""
    shop(given, "a", 0, bought=True)
    steps = ("intent:greet", "workflow:checkout", "action:purchase")
    assert counts(ask(given, *steps, within=180)) == [1, 1, 1]
    assert counts(ask(given, *steps, within=179)) == [1, 1, 0]
    assert counts(ask(given, *steps, within=60)) == [1, 1, 0]
    assert counts(ask(given, *steps, within=59)) == [1, 0, 0]


def test_within_takes_the_run_that_gets_farthest(given: Given) -> None:
    """Greeted at 0 and at 100, bought at 110: the run from the second greeting is within 30 s.

    Without a limit it is 110 s from the first.
    """
    given.turn("a", 0, intent="greet")
    given.turn("a", 100, intent="greet")
    given.event("action", "a", 110, action="purchase")
    near = ask(given, "intent:greet", "action:purchase", within=30)
    assert (counts(near), near.median_time) == ([1, 1], 10.0)
    assert ask(given, "intent:greet", "action:purchase").median_time == 110.0


def test_of_runs_that_get_equally_far_the_last_begun_counts(given: Given) -> None:
    """Greeted at 0 and 5, bought at 20: both within 30 s; it took 15 from the last greeting."""
    given.turn("a", 0, intent="greet")
    given.turn("a", 5, intent="greet")
    given.event("action", "a", 20, action="purchase")
    assert ask(given, "intent:greet", "action:purchase", within=30).median_time == 15.0


@pytest.mark.parametrize(
    ("step", "reached"),
    [
        ("turn", 2),
        ("intent", 1),
        ("intent:buy", 1),
        ("intent:pay", 0),
        ("fallback", 1),
        ("error", 2),
        ("error:Timeout", 1),
        ("error:Other", 0),
        ("sentiment:negative", 1),
        ("handoff", 1),
        ("handoff:angry", 1),
        ("handoff:other", 0),
        ("topic:delivery", 1),
        ("entity:city", 1),
        ("action", 1),
        ("lead:demo", 1),
        ("api_call:crm", 1),
        ("message:human", 1),
        ("message:system", 0),
        ("workflow:shop", 1),
        ("workflow_completed:shop", 1),
        ("workflow_failed:shop", 0),
        ("workflow_step:shop/pay", 1),
        ("workflow_step:pay", 1),
        ("workflow_step:other/pay", 0),
        ("event:otel_chat.action", 1),
        ("event:coupon_used", 1),
        ("feedback", 1),
        ("feedback:positive", 1),
        ("feedback:negative", 0),
        ("outcome:handed_off", 1),
        ("outcome:failed", 1),
        ("outcome:resolved", 0),
    ],
)
def test_every_kind_of_step(given: Given, step: str, reached: int) -> None:
    """Each of two conversations begins with a turn; then one fails, the other has of everything."""
    for name in "ab":
        given.turn(name, 0)
    given.turn("a", 1, status="error", error_type="Timeout")
    given.turn("a", 2, intent="buy", fallback=True, sentiment="negative", status="error")
    given.turn("b", 3, status="error")
    given.event("handoff.requested", "a", 4, reason="angry")
    given.event("topic", "a", 4, topic="delivery")
    given.event("entity", "a", 4, entity_type="city")
    given.event("action", "a", 4, action="look")
    given.event("lead", "a", 4, lead_kind="demo")
    given.event("api_call", "a", 4, api_name="crm")
    given.event("message", "a", 4, sender="human")
    given.event("workflow.started", "a", 4, workflow="shop")
    given.event("workflow.completed", "a", 5, workflow="shop", step="pay")
    given.event("custom", "a", 6, event_name="coupon_used")
    given.feedback(5, "a", 86_400 * 3)
    assert counts(ask(given, "turn", step)) == [2, reached]


def test_an_outcome_comes_after_everything(given: Given) -> None:
    """Positive feedback comes long after the last turn; the conversation is resolved by it."""
    given.turn("a", 0, fallback=True)
    given.feedback(5, "a", 600)
    given.turn("b", 0, fallback=True)
    found = ask(given, "fallback", "feedback:positive", "outcome:resolved")
    assert (counts(found), found.median_time) == ([2, 1, 1], 600.0)
    assert counts(ask(given, "fallback", "outcome:abandoned")) == [2, 1]


def test_filters_choose_conversations_not_turns(given: Given) -> None:
    """Of agent shop one conversation; its second turn is another agent's and counts."""
    given.turn("a", 0, agent="shop", intent="greet")
    given.turn("a", 5, agent="till", intent="pay")
    given.turn("b", 0, agent="help", intent="greet")
    found = ask(given, "intent:greet", "intent:pay", filters=Filters(agent="shop"))
    assert (found.conversations, counts(found)) == (1, [1, 1])
    settled = ask(given, "intent:greet", "intent:pay", filters=Filters(outcome="resolved"))
    assert counts(settled) == [2, 1]


def test_names_are_taken_as_they_are(given: Given) -> None:
    """Colons, quotes and braces in a name are part of it."""
    name = "a:b'c\"{d} \\ "
    given.turn("a", 0, intent=name)
    assert counts(ask(given, "turn", f"intent:{name}")) == [1, 1]


def test_without_data_a_funnel_is_null(given: Given) -> None:
    """Counts of 0, shares and times null."""
    found = ask(given, "turn", "handoff")
    assert (found.conversations, counts(found), found.median_time) == (0, [0, 0], None)
    assert {one.share_of_first for one in found.steps} == {None}
    assert found.steps[1].share_of_previous is None


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (["turn"], "2 to 10"),
        (["turn"] * 11, "2 to 10"),
        (["turn", "nonsense"], "Step 2 ('nonsense'): its kind is none of turn, intent"),
        (["turn", "Turn"], "Step 2"),
        (["turn:x", "turn"], "Step 1 ('turn:x'): turn takes no name"),
        (["turn", "intent:"], "say which after the colon, as in intent:name"),
        (["turn", "event"], "say which after the colon, as in event:name"),
        (["turn", "outcome"], "as in outcome:resolved"),
        (["turn", "outcome:open"], "one of resolved, handed_off, abandoned, failed"),
        (["turn", "message:bot"], "one of user, assistant, system, human"),
        (["turn", f"intent:{'x' * 257}"], "longer than 256"),
        (["outcome:failed", "turn"], "ask last"),
        (["turn", ""], "Step 2 ('')"),
    ],
)
def test_a_wrong_step_is_named(given: Given, steps: list[str], told: str) -> None:
    """Which step, what is wrong with it, and what there is; the field is `step`."""
    with pytest.raises(QueryError) as raised:
        ask(given, *steps)
    assert raised.value.field == "step"
    assert told in str(raised.value)


@pytest.mark.parametrize("within", [0.0, -1.0, 2_592_001.0, float("nan")])
def test_a_wrong_limit_of_time_is_refused(given: Given, within: float) -> None:
    """The field is named."""
    with pytest.raises(QueryError) as raised:
        ask(given, "turn", "turn", within=within)
    assert raised.value.field == "within"


def test_a_funnel_by_its_address(store: Store, given: Given) -> None:
    """Steps are given one by one; errors have the one shape and name the field."""
    shop(given, "a", 0, bought=True)
    given.save()
    app = create_app(store, ServerSettings())
    client = TestClient(app, base_url="http://127.0.0.1:8400")
    day = {"from": "2026-11-10T00:00:00Z", "to": "2026-11-11T00:00:00Z"}
    path = "/api/v1/journeys/funnel"
    asked = {"step": ["intent:greet", "action:purchase"], "within": 180, "conversation_id": "a"}
    found = client.get(path, params=day | asked).json()
    assert [one["step"] for one in found["steps"]] == ["intent:greet", "action:purchase"]
    for wrong in ({"step": ["turn"]}, {"step": ["turn", "x"]}, {"within": 0}):
        refused = client.get(path, params=day | wrong)
        assert (refused.status_code, refused.json()["error"]["field"]) == (422, next(iter(wrong)))
    steps = [one["step"] for one in client.get(path, params=day).json()["steps"]]
    assert steps == ["turn", "intent", "action", "outcome:resolved"]
