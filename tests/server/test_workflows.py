"""Workflows: started, ended, left, and at which step, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.workflows import Workflows, workflows
from tests.server.given import DAY, Given, at


def ask(given: Given, window: Window = DAY, filters: Filters | None = None) -> Workflows:
    given.save()
    return workflows(given.store, given.scope, window, filters or Filters())


def run(given: Given, conversation: str, seconds: float, *moves: str, name: str = "shop") -> None:
    """Events of a workflow a minute apart: a word and a step, as 'completed payment'."""
    for number, move in enumerate(moves):
        kind, _, step = move.partition(" ")
        given.event(
            f"workflow.{kind}", conversation, seconds + 60 * number, workflow=name, step=step
        )


def test_runs_and_how_they_ended(given: Given) -> None:
    """Shop: five started, two completed (60 s and 180 s), one failed, one left, one running.

    At 14:00 the conversation of 13:45 is open.
    """
    for name in "abcd":
        given.turn(name, 0)
    run(given, "a", 1, "started", "completed")
    given.event("workflow.started", "b", 1, workflow="shop")
    given.event("workflow.completed", "b", 181, workflow="shop")
    run(given, "c", 1, "started", "failed")
    run(given, "d", 1, "started")
    given.turn("e", 6300)
    run(given, "e", 6301, "started")
    run(given, "a", 500, "started", "completed", name="post")
    found = ask(given, replace(DAY, now=at(7200)))
    assert [one.name for one in found.items] == ["shop", "post"]
    shop = found.items[0]
    counts = (shop.started, shop.completed, shop.failed, shop.left_open, shop.running)
    assert counts == (5, 2, 1, 1, 1)
    assert (shop.conversations, shop.completion_rate) == (5, 0.4)
    assert (shop.duration.count, shop.duration.mean, shop.duration.p50) == (2, 120.0, 120.0)
    assert shop.duration.p95 == pytest.approx(60 + 0.95 * 120)
    assert found.items[1].completion_rate == 1.0


def test_steps_with_drop_off(given: Given) -> None:
    """Order is reached by all four, payment by three.

    One was left at order, one failed at payment, one completed. The fourth is open at payment: it
    is reached but not settled.
    """
    for name in "abc":
        given.turn(name, 0)
    run(given, "a", 1, "started order")
    run(given, "b", 1, "started order", "failed payment")
    run(given, "c", 1, "started order", "completed payment")
    given.turn("d", 6300)
    run(given, "d", 6301, "started order", "started payment")
    (found,) = ask(given, replace(DAY, now=at(7200))).items
    assert [
        (one.step, one.conversations, one.settled, one.dropped, one.rate) for one in found.steps
    ] == [("order", 4, 3, 1, 1 / 3), ("payment", 3, 2, 1, 0.5)]


def test_an_end_without_a_start_counts_as_started(given: Given) -> None:
    """The start was lost: the rate stays at most 1, the duration is not known."""
    given.turn("a", 0)
    run(given, "a", 1, "completed")
    (found,) = ask(given).items
    assert (found.started, found.completed, found.left_open) == (1, 1, 0)
    assert (found.completion_rate, found.duration.count, found.duration.mean) == (1.0, 0, None)


def test_runs_one_after_another_have_a_duration_each(given: Given) -> None:
    """Started, completed, started, failed, started, completed: 60 s twice."""
    given.turn("a", 0)
    run(given, "a", 1, *("started", "completed", "started", "failed", "started", "completed"))
    (found,) = ask(given).items
    assert (found.started, found.completed, found.failed, found.left_open) == (3, 2, 1, 0)
    assert (found.duration.count, found.duration.mean) == (2, 60.0)


def test_a_start_and_its_end_of_the_same_moment_are_in_order(given: Given) -> None:
    """However they arrive, the workflow took no time and is not left open."""
    given.turn("a", 0)
    given.event("workflow.completed", "a", 1, workflow="shop", step="last")
    given.event("workflow.started", "a", 1, workflow="shop")
    (found,) = ask(given).items
    assert (found.completed, found.left_open, found.duration.mean) == (1, 0, 0.0)
    assert [(one.step, one.dropped) for one in found.steps] == [("last", 0)]


def test_workflows_are_those_of_the_conversations_that_started_in_the_window(given: Given) -> None:
    """A conversation of the day before is not taken, though its workflow ends today."""
    given.turn("a", -20 * 3600)
    run(given, "a", 1, "started", "completed")
    assert ask(given).items == []


def test_workflows_of_filtered_conversations(given: Given) -> None:
    """Of agent shop one, of agent help none."""
    given.turn("a", 0, agent="shop")
    given.turn("b", 0, agent="help")
    run(given, "a", 1, "started")
    assert [one.started for one in ask(given, filters=Filters(agent="shop")).items] == [1]
    assert ask(given, filters=Filters(agent="help")).items == []
