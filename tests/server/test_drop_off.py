"""Where conversations were given up, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.drop_off import DropOff, IntentSource, drop_off
from tests.server.given import DAY, Given, at
from tests.server.test_journeys import talk


def lost(given: Given, source: IntentSource = "turn", filters: Filters | None = None) -> DropOff:
    given.save()
    return drop_off(given.store, given.scope, DAY, filters or Filters(), source)


def test_drop_off_by_last_intent(given: Given) -> None:
    """Six settled. Abandoned or failed: a and b on pay, c on buy, d without any intent.

    Pay was reached by a, b and e: 2 of 3. Buy by a and c: 1 of 2. Shares are of 4.
    """
    talk(given, "a", "buy", "pay")
    given.turn("a", 90, fallback=True)
    talk(given, "b", "pay", status="error")
    talk(given, "c", "buy", fallback=True)
    given.turn("d", 0, status="error")
    talk(given, "e", "pay")
    talk(given, "f", "ask", handoff=True)
    found = lost(given)
    assert (found.settled, found.dropped, found.rate) == (6, 4, 4 / 6)
    assert [
        (one.intent, one.dropped, one.share, one.reached, one.rate) for one in found.intents
    ] == [
        ("pay", 2, 0.5, 3, 2 / 3),
        ("buy", 1, 0.25, 2, 0.5),
        (None, 1, 0.25, 1, 1.0),
        ("ask", 0, 0.0, 1, 0.0),
    ]
    assert (found.steps, found.others) == ([], 0)


def test_drop_off_by_workflow_step(given: Given) -> None:
    """Left open at address (a), failed at payment (b); c was completed, d left but handed over.

    Address was reached by a, b and c, payment by b and c, order by all four: 0 of 4 dropped there.
    """
    for name in "abcd":
        given.turn(name, 0)
        given.event("workflow.started", name, 1, workflow="shop", step="order")
    given.event("workflow.started", "a", 3, workflow="post", step="address")
    for name in "bc":
        given.event("workflow.completed", name, 3, workflow="post", step="address")
        given.event("workflow.completed", name, 4, workflow="shop", step="payment")
    given.event("workflow.completed", "a", 4, workflow="shop", step="order")
    given.event("workflow.started", "b", 5, workflow="shop", step="payment")
    given.event("workflow.failed", "b", 6, workflow="shop", step="payment")
    given.turn("b", 7, status="error")
    given.event("handoff.requested", "d", 8)
    found = lost(given)
    assert (found.settled, found.dropped) == (4, 2)
    assert [
        (one.workflow, one.step, one.dropped, one.share, one.reached, one.rate)
        for one in found.steps
    ] == [
        ("post", "address", 1, 0.5, 3, 1 / 3),
        ("shop", "payment", 1, 0.5, 2, 0.5),
        ("shop", "order", 0, 0.0, 4, 0.0),
    ]


def test_a_workflow_left_without_a_step_is_dropped_at_no_step(given: Given) -> None:
    """Two started it and named no step; one of them went on to complete it."""
    for name in "ab":
        given.turn(name, 0)
        given.event("workflow.started", name, 1, workflow="shop")
    given.event("workflow.completed", "b", 2, workflow="shop")
    (found,) = lost(given).steps
    assert (found.workflow, found.step, found.dropped, found.reached) == ("shop", None, 1, 2)


def test_a_second_run_forgets_the_step_of_the_first(given: Given) -> None:
    """Failed at payment, started again and left before any step: not dropped at payment."""
    given.turn("a", 0)
    given.event("workflow.started", "a", 1, workflow="shop", step="order")
    given.event("workflow.failed", "a", 2, workflow="shop", step="payment")
    given.event("workflow.started", "a", 3, workflow="shop")
    found = {one.step: (one.dropped, one.reached) for one in lost(given).steps}
    assert found == {None: (1, 1), "order": (0, 1), "payment": (0, 1)}


def test_of_two_workflows_the_one_that_moved_last_counts(given: Given) -> None:
    """Both are left open; a conversation is dropped at one step only."""
    given.turn("a", 0)
    given.event("workflow.started", "a", 1, workflow="one", step="x")
    given.event("workflow.started", "a", 2, workflow="two", step="y")
    assert [(one.workflow, one.dropped) for one in lost(given).steps] == [("two", 1), ("one", 0)]


def test_open_conversations_are_no_drop_off(given: Given) -> None:
    """Five minutes after a fallback the user may still write."""
    talk(given, "a", "buy", fallback=True)
    given.save()
    found = drop_off(given.store, given.scope, replace(DAY, now=at(300)), Filters())
    assert (found.settled, found.dropped, found.rate, found.intents) == (0, 0, None, [])


def test_drop_off_by_annotated_intents(given: Given) -> None:
    """Annotations say FindBus, then FindHotel and BuyTicket at once: the last by its uid counts.

    What the classifier named is another matter.
    """
    given.turn("a", 0, intent="guess")
    given.turn("a", 10, fallback=True)
    given.turn("b", 0, intent="guess")
    for seconds, name in ((0, "FindBus"), (10, "FindHotel"), (10, "BuyTicket")):
        given.event("intent", "a", seconds, intent=name, source="annotation")
    given.event("intent", "a", 11, intent="guess", source="classifier")
    given.event("intent", "b", 0, intent="FindBus", source="annotation")
    found = lost(given, "annotation")
    assert [(one.intent, one.dropped, one.reached) for one in found.intents] == [
        ("BuyTicket", 1, 1),
        ("FindBus", 0, 2),
        ("FindHotel", 0, 1),
    ]
    assert [(one.intent, one.dropped, one.reached) for one in lost(given).intents] == [
        ("guess", 1, 2)
    ]


def test_drop_off_of_the_conversations_that_filters_let_through(given: Given) -> None:
    """Agent shop lost one of one; what another agent lost is not asked about."""
    talk(given, "a", "buy", agent="shop", fallback=True)
    talk(given, "b", "buy", agent="help", fallback=True)
    found = lost(given, filters=Filters(agent="shop"))
    assert (found.settled, found.dropped, found.intents[0].reached) == (1, 1, 1)


def test_without_data_there_is_no_drop_off(given: Given) -> None:
    """Empty lists and a null rate."""
    found = lost(given)
    assert (found.settled, found.intents, found.steps, found.rate) == (0, [], [], None)
