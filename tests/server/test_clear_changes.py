"""What changed beyond chance, on two weeks as a bot sends them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from otel_chat.server.access import PERMISSIONS, Scope
from otel_chat.server.app import create_app
from otel_chat.server.figures.chance import Ratios, adjusted, contribution, ratios_change
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.clear_changes import (
    ChangedPart,
    ClearChange,
    ClearChanges,
    clear_changes,
)
from otel_chat.server.questions.overview import overview
from otel_chat.server.questions.sentence import phrase
from otel_chat.server.settings import ServerSettings
from otel_chat.server.store import Store
from tests.server.given import DAY, Given
from tests.server.weeks import TUESDAY, WEEK, fortnight, send


@pytest.fixture(scope="module")
def running(store: Store) -> Iterator[TestClient]:
    """The whole application, which takes telemetry."""
    app = create_app(store, ServerSettings())
    with TestClient(app, base_url="http://127.0.0.1:8400") as connected:
        yield connected


def scope_of(tenant: str) -> Scope:
    return Scope(frozenset({tenant}), frozenset(PERMISSIONS))


def asked(store: Store, tenant: str) -> ClearChanges:
    return clear_changes(store, scope_of(tenant), WEEK, Filters())


def one(found: ClearChanges, figure: str) -> ClearChange:
    return next(item for item in found.items if item.figure == figure)


def test_a_planted_fault_is_told_with_its_place_its_day_and_whom_to_read(
    store: Store, client: TestClient
) -> None:
    """Resolution, containment and abandonment are clear; the sentence names refund and the tool."""
    send(fortnight("planted", fault=True), client)
    found = asked(store, "planted")
    assert found.state == "changed"
    headline = overview(store, scope_of("planted"), WEEK, Filters())
    contained = one(found, "containment_ratio")
    assert (contained.value, contained.previous) == (
        headline.containment.rate,
        headline.previous.containment.rate,
    )
    clear = {item.figure for item in found.clear}
    assert {"containment_ratio", "resolution_ratio_high", "abandonment_ratio"} <= clear
    assert {"response_time", "fallback_ratio"} <= clear
    kinds = [item.kind for item in found.clear]
    assert kinds == sorted(kinds, key=("outcome", "speed", "cost", "volume").index)
    assert {item.since for item in found.clear} == {TUESDAY}
    first = found.items[0]
    assert first.figure == "resolution_ratio_high"
    assert found.sentence.replace("\u202f", " ").startswith(
        f"Resolution fell {-first.difference * 100:.1f} points to {first.value * 100:.0f} %"
        " since Tue 10 Nov: intent refund accounts for "
    )
    tool = next(part for part in first.parts if part.kind == "tool")
    refund = next(part for part in first.parts if part.kind == "intent")
    assert (tool.name, tool.reason, refund.name) == ("track_return", "TimeoutError", "refund")
    assert f"tool track_return failed (TimeoutError) in {tool.conversations} conv" in found.sentence
    assert len(refund.read) == 3
    for read in refund.read:
        about = client.get(f"/api/v1/conversations/{read.conversation_id}?tenant=planted").json()
        assert about["summary"]["outcome"] != "resolved"


def test_two_weeks_alike_have_no_change(store: Store, client: TestClient) -> None:
    """The same weeks without the fault: nothing beyond chance, and the sentence says so."""
    send(fortnight("alike", fault=False), client)
    found = asked(store, "alike")
    assert (found.state, found.clear) == ("nothing changed", [])
    assert found.sentence.startswith("Nothing changed beyond chance: ")
    assert all(item.since is None and not item.parts for item in found.items)


def test_too_little_is_called_so(given: Given) -> None:
    """Five conversations in either window, all good before and all bad now, tell nothing."""
    for number in range(5):
        given.turn(f"now-{number}", number, handoff=True)
        given.turn(f"before-{number}", number - 86_400)
    given.save()
    found = clear_changes(given.store, given.scope, DAY, Filters())
    assert (found.state, found.items) == ("not enough", [])
    assert found.sentence == (
        "Not enough to tell a change from chance: 5 conversations in this window and 5 in the one"
        " before, 20 are needed in each."
    )


def test_long_conversations_are_no_larger_sample(given: Given) -> None:
    """Two of thirty conversations fail in all of their hundred turns: that may be chance."""
    for number in range(30):
        for turn in range(100):
            failed = {"status": "error"} if number < 2 else {}
            given.turn(f"now-{number}", number * 300 + turn, **failed)
            given.turn(f"before-{number}", number * 300 + turn - 86_400)
    given.save()
    found = clear_changes(given.store, given.scope, DAY, Filters())
    errors = one(found, "error_ratio")
    assert (errors.value, errors.previous) == (2 / 30, 0)
    assert not errors.clear


def test_a_part_that_moved_a_figure_further_than_it_went_is_not_a_part_of_it() -> None:
    """11 points, of which refunds alone would have made 12.4: the others held it back."""
    part = ChangedPart(
        kind="intent", name="refund", reason="", contribution=-0.124, value=0.5, previous=0.9,
        conversations=100, read=[],
    )  # fmt: skip
    change = ClearChange(
        figure="containment_ratio", label="Containment", kind="outcome", better="higher", unit="1",
        definition="", value=0.83, previous=0.94, difference=-0.11, relative=-0.117, sure=0.08,
        p_value=0.001, q_value=0.01, clear=True, conversations=345, previous_conversations=373,
        parts=[part],
    )  # fmt: skip
    assert phrase(change, hourly=False).replace("\u202f", " ") == (
        "Containment fell 11.0 points to 83 %: intent refund alone accounts for 12.4"
    )


def test_parts_add_up_to_the_change() -> None:
    """However conversations are parted, what the parts contribute is the whole change."""
    rng = random.Random(4)
    sides = [
        {
            name: Ratios.share(rng.randint(0, trials), trials)
            for name, trials in zip("abc", rng.choices(range(1, 90), k=3), strict=True)
        }
        for _ in range(2)
    ]
    now, before = sides
    whole, whole_before = (sum(side.values(), Ratios()) for side in sides)
    moved = [contribution(now[name], before[name], whole, whole_before) or 0 for name in "abc"]
    assert whole.value is not None
    assert whole_before.value is not None
    assert sum(moved) == pytest.approx(whole.value - whole_before.value)


def test_false_alarms_are_as_rare_as_said() -> None:
    """Of many pages of twelve figures without any change at most one in twenty claims one."""
    rng = random.Random(11)

    def drawn(chance: float) -> Ratios:
        found = Ratios()
        for _ in range(150):
            turns = rng.randint(1, 9)
            # Turns of a conversation go wrong together.
            bad = turns if rng.random() < chance else 0
            found += Ratios(1, bad, turns, bad * bad, bad * turns, turns * turns)
        return found

    alarms = 0
    pages = 120
    for _ in range(pages):
        changes = [ratios_change(drawn(chance), drawn(chance)) for chance in [0.1, 0.3, 0.5] * 4]
        p_values = [change.p_value for change in changes if change is not None]
        assert len(p_values) == 12
        alarms += min(adjusted(p_values)) <= 0.05
    assert alarms <= 0.1 * pages
