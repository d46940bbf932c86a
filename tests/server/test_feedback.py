"""Ratings, comments and named evaluations, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otel_chat.errors import QueryError
from otel_chat.server.figures.filters import Filters
from otel_chat.server.questions.evaluations import evaluations
from otel_chat.server.questions.feedback import comments, feedback
from tests.server.given import DAY, Given, at

NONE = Filters()


def evaluated(given: Given, name: str, score: float, seconds: float, **columns: object) -> None:
    given.event("gen_ai.evaluation.result", "c", seconds, evaluation=name, score=score, **columns)


def test_csat_has_three_forms(given: Given) -> None:
    """5, 4, 2 and 1 of 5: scores 1, 0.75, 0.25, 0; half in the top boxes; 3 on the scale."""
    for number, value in enumerate((5, 4, 2, 1)):
        given.turn(f"c{number}", 60 * number)
        given.feedback(value, f"c{number}", 60 * number + 30)
    given.turn("silent", 400)
    given.save()
    found = feedback(given.store, given.scope, DAY, NONE)
    assert (found.all.ratings, found.all.score, found.all.top_share) == (4, 0.5, 0.5)
    assert (found.all.positive, found.all.negative) == (2, 2)
    (scale,) = found.scales
    assert (scale.lowest, scale.highest, scale.ratings, scale.mean) == (1, 5, 4, 3)
    assert [(v.value, v.ratings, v.share) for v in scale.values] == [
        (1, 1, 0.25),
        (2, 1, 0.25),
        (4, 1, 0.25),
        (5, 1, 0.25),
    ]
    assert (found.settled, found.rated, found.response_rate) == (5, 4, 0.8)


def test_scales_are_kept_apart(given: Given) -> None:
    """Thumbs and stars: each with its own mean; the score joins them."""
    given.turn()
    given.feedback(1, scale=(0, 1))
    given.feedback(1, scale=(0, 1), seconds=1)
    given.feedback(3, seconds=3700)
    given.save()
    found = feedback(given.store, given.scope, DAY, NONE, "1h")
    assert [(s.lowest, s.highest, s.ratings, s.mean) for s in found.scales] == [
        (0, 1, 2, 1),
        (1, 5, 1, 3),
    ]
    assert found.all.score == pytest.approx(2.5 / 3)
    assert [(p.start, p.ratings, p.score, p.top_share) for p in found.points if p.ratings] == [
        (at(0), 3, pytest.approx(2.5 / 3), 2 / 3)
    ]


def test_without_feedback_there_is_no_satisfaction(given: Given) -> None:
    """Null, not 0; the response rate is 0, for somebody could have answered."""
    given.turn()
    given.save()
    found = feedback(given.store, given.scope, DAY, NONE)
    assert (found.all.ratings, found.all.score, found.all.top_share) == (0, None, None)
    assert (found.response_rate, found.scales) == (0, [])
    empty = feedback(given.store, given.scope, DAY, Filters(agent="nobody"))
    assert empty.response_rate is None


def test_late_feedback_changes_exactly_what_it_should(given: Given) -> None:
    """A rating two days later rates the conversation, and counts in the day of that."""
    given.turn()
    given.save()
    before = feedback(given.store, given.scope, DAY, NONE)
    late = Given(given.store, given.tenant)
    late.feedback(5, seconds=2 * 86_400)
    late.save()
    after = feedback(given.store, given.scope, DAY, NONE)
    assert (before.rated, after.rated) == (0, 1)
    assert (before.all.ratings, after.all.ratings) == (0, 1)
    its_own = replace(DAY, start=at(86_400), end=at(3 * 86_400), now=at(4 * 86_400))
    assert feedback(given.store, given.scope, its_own, NONE).all.ratings == 0


def test_comments_come_newest_first_page_by_page(given: Given) -> None:
    """Three comments of two evaluations, one to a page; those without words are left out."""
    given.turn()
    for number, name in enumerate(("user_feedback", "tone", "user_feedback")):
        evaluated(given, name, 0.5, number, comment=f"words {number}", label="so")
    evaluated(given, "tone", 1, 9)
    given.save()
    seen, cursor = [], None
    while True:
        page = comments(given.store, given.scope, DAY, NONE, 1, cursor)
        seen += [(c.comment, c.evaluation, c.label, c.time) for c in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [
        ("words 2", "user_feedback", "so", at(2)),
        ("words 1", "tone", "so", at(1)),
        ("words 0", "user_feedback", "so", at(0)),
    ]
    only = comments(given.store, given.scope, DAY, NONE, evaluation="tone")
    assert [c.comment for c in only.items] == ["words 1"]


def test_evaluations_by_name_with_their_spread(given: Given) -> None:
    """Scores 0, 0.5 and 1 of one, 0.2 of another, and one result without a score."""
    given.turn()
    for number, score in enumerate((0, 0.5, 1)):
        evaluated(given, "tone", score, number, label="good" if score else "bad")
    evaluated(given, "faithful", 0.2, 3600)
    given.event("gen_ai.evaluation.result", "c", 5, evaluation="tone", label="good")
    given.save()
    found = evaluations(given.store, given.scope, DAY, NONE, "1h")
    tone, faithful = found.items
    assert (tone.name, tone.count, tone.scored, tone.mean) == ("tone", 4, 3, 0.5)
    assert (tone.p25, tone.p50, tone.p75, tone.lowest, tone.highest) == (0.25, 0.5, 0.75, 0, 1)
    assert [(one.label, one.count) for one in tone.labels] == [("good", 3), ("bad", 1)]
    assert (faithful.name, faithful.mean, faithful.value_mean) == (
        "faithful",
        pytest.approx(0.2),
        None,
    )
    assert [(p.start, p.count, p.mean) for p in tone.points if p.count] == [(at(0), 4, 0.5)]


def test_evaluations_are_narrowed_by_name_and_score(given: Given) -> None:
    """From 0.5 up to 1 there are two; wrong bounds are refused by name."""
    given.turn()
    for number, score in enumerate((0, 0.5, 1)):
        evaluated(given, "tone", score, number)
    evaluated(given, "other", 1, 5)
    given.save()
    found = evaluations(given.store, given.scope, DAY, NONE, name="tone", score_min=0.5)
    assert [(e.name, e.count, e.mean) for e in found.items] == [("tone", 2, 0.75)]
    with pytest.raises(QueryError) as raised:
        evaluations(given.store, given.scope, DAY, NONE, score_min=0.9, score_max=0.1)
    assert raised.value.field == "score_min"
    with pytest.raises(QueryError):
        evaluations(given.store, given.scope, DAY, NONE, score_max=2)
