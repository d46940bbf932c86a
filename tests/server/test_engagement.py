"""Length, returning users, segments, peak hours and leads, worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from otel_chat.errors import QueryError
from otel_chat.server.figures.devices import seen
from otel_chat.server.figures.filters import Filters
from otel_chat.server.figures.window import Window
from otel_chat.server.questions.engagement import Dimension, engagement, segments
from otel_chat.server.questions.hours import peak_hours
from otel_chat.server.questions.leads import leads
from tests.examples import examples
from tests.server.given import DAY, NOON, Given, at

NONE = Filters()
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like"
    " Gecko) Version/17.0 Mobile/15E148 Safari/604.1"
)
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/126.0.0.0 Safari/537.36"
)
IPAD = IPHONE.replace("iPhone; CPU iPhone OS", "iPad; CPU OS")
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def test_length_is_told_in_turns_messages_and_seconds(given: Given) -> None:
    """One turn of 1 s; four turns over 31 s and a greeting: 2 and 9 messages."""
    given.turn("short", 0)
    for number in range(4):
        given.turn("long", 10 * number)
    given.event("message", "long", 1, sender="system")
    given.save()
    found = engagement(given.store, given.scope, DAY, NONE)
    assert (found.conversations, found.turns.mean, found.turns.p50) == (2, 2.5, 2.5)
    assert (found.messages.mean, found.messages.count) == (5.5, 2)
    assert found.duration.mean == pytest.approx(16)
    assert [(b.low, b.high, b.share) for b in found.lengths if b.conversations] == [
        (1, 1, 0.5),
        (4, 5, 0.5),
    ]
    assert (found.first_interaction, found.last_interaction) == (at(0), at(31))


def test_the_engagement_score_is_the_mean_of_conversations(given: Given) -> None:
    """One turn, resolved: 4 + 0 + 40 = 44. One turn and three actions, failed: 4 + 20 = 24."""
    given.turn("good")
    given.turn("bad", status="error")
    for number in range(3):
        given.event("action", "bad", number / 10)
    given.save()
    found = engagement(given.store, given.scope, DAY, NONE)
    assert found.score == 34
    assert [b.conversations for b in found.scores] == [0, 1, 1, 0, 0]


def test_without_conversations_there_is_nothing(given: Given) -> None:
    """Null where there is nothing to divide by."""
    found = engagement(given.store, given.scope, DAY, NONE)
    assert (found.conversations, found.score, found.turns.mean) == (0, None, None)
    assert (found.users.users, found.users.returning_rate, found.first_interaction) == (
        0,
        None,
        None,
    )


def test_users_who_come_back_are_counted(given: Given) -> None:
    """Ann twice today and yesterday, Bob once today, Cid yesterday only, and one without a hash."""
    given.turn("a1", 0, user_hash="ann")
    given.turn("a2", 3600, user_hash="ann")
    given.turn("a0", -86_400, user_hash="ann")
    given.turn("b1", 0, user_hash="bob")
    given.turn("c0", -86_400, user_hash="cid")
    given.turn("nobody", 0)
    given.save()
    users = engagement(given.store, given.scope, DAY, NONE).users
    assert (users.users, users.conversations, users.conversations_per_user) == (2, 3, 1.5)
    assert (users.repeating, users.returning, users.returning_rate) == (1, 1, 0.5)


@pytest.mark.parametrize(
    ("dimension", "told"),
    [
        ("device", [("Phone", 2), ("Bot", 1), ("Desktop", 1), ("Tablet", 1)]),
        ("browser", [("Mobile Safari", 3), ("Chrome", 1), ("Googlebot", 1)]),
        ("os", [("iOS", 3), ("", 1), ("Windows", 1)]),
        ("referrer", [("", 3), ("shop.example", 2)]),
    ],
)
def test_conversations_are_parted_by_what_the_first_turn_says(
    given: Given, dimension: Dimension, told: list[tuple[str, int]]
) -> None:
    """Five conversations; of the referrer only the host counts."""
    for number, agent in enumerate((IPHONE, IPHONE, IPAD, CHROME, BOT)):
        place = ("https://shop.example/item", "http://SHOP.example:8080/", "", "", "")[number]
        page = "" if agent == BOT else "/cart"
        given.turn(f"c{number}", number, user_agent=agent, referrer=place, page=page)
        given.turn(f"c{number}", number + 60, user_agent="later", page="/other")
    given.save()
    found = segments(given.store, given.scope, DAY, NONE, dimension)
    assert [(s.name, s.conversations) for s in found.items] == told
    assert (found.conversations, found.others) == (5, 0)
    assert sum(s.share or 0 for s in found.items) == pytest.approx(1)
    assert all(s.turns == 2 * s.conversations for s in found.items)
    assert all(s.resolved == s.conversations for s in found.items)
    assert {s.engagement_score for s in found.items} == {48}


def test_pages_are_those_of_all_turns_and_events(given: Given) -> None:
    """Each page that a conversation came by counts it once; one without any counts as such."""
    given.turn("a", 0, page="/cart")
    given.turn("a", 60, page="/help")
    given.turn("a", 120, page="/cart")
    given.event("custom", "a", 180, event_name="page_view", page="/pay")
    given.turn("b", 0)
    given.event("action", "b", 10, action="link", page="/help")
    given.turn("c", 0)
    given.save()
    found = segments(given.store, given.scope, DAY, NONE, "page")
    assert [(s.name, s.conversations) for s in found.items] == [
        ("/help", 2), ("", 1), ("/cart", 1), ("/pay", 1),
    ]  # fmt: skip
    assert (found.conversations, found.others) == (3, 0)
    assert [s.turns for s in found.items] == [4, 1, 3, 3]
    assert found.items[0].share == pytest.approx(2 / 3)
    narrowed = segments(given.store, given.scope, DAY, Filters(conversation_id="b"), "page")
    assert [(s.name, s.conversations) for s in narrowed.items] == [("/help", 1)]


def test_a_user_agent_of_any_text_says_something(given: Given) -> None:
    """Nothing at all, nonsense, and very long nonsense."""
    assert [seen("device", text) for text in ("", "x" * 100_000, "\u0000")] == ["", "", ""]
    given.turn(user_agent="\u202e" * 50)
    given.save()
    (one,) = segments(given.store, given.scope, DAY, NONE, "browser").items
    assert (one.name, one.conversations) == ("", 1)


@examples(4, 50)
@generated(
    st.lists(st.tuples(st.integers(0, 60), st.booleans(), st.booleans()), min_size=1, max_size=70),
    st.integers(0, 2**16),
)
def test_parts_sum_to_the_whole(
    given: Given, drawn: list[tuple[int, bool, bool]], seed: int
) -> None:
    """Segments listed and not, lengths, scores, hours and conversion, in any order of arrival."""
    mine = Given(given.store)
    for number, (page, failed, lead) in enumerate(drawn):
        status = "error" if failed else "ok"
        mine.turn(f"c{number}", number * 300, page=str(page), status=status)
        if lead:
            mine.event("lead", f"c{number}", number * 300 + 1, lead_kind="demo")
    mine.save(shuffle=seed)
    asked = (mine.store, mine.scope, DAY, NONE)
    parts, whole = segments(*asked, "page"), engagement(*asked)
    assert sum(s.conversations for s in parts.items) + parts.others == len(drawn)
    assert sum(b.conversations for b in whole.lengths) == len(drawn)
    assert sum(b.conversations for b in whole.scores) == len(drawn)
    assert whole.score is not None
    assert 0 <= whole.score <= 100
    grid = peak_hours(*asked)
    assert (
        sum(c.turns for c in grid.cells) == sum(c.conversations for c in grid.cells) == len(drawn)
    )
    made = leads(*asked)
    assert made.converted == sum(lead for _, _, lead in drawn)
    assert sum(p.conversations for p in made.points) == len(drawn)
    assert 0 <= (made.conversion_rate or 0) <= 1


def test_peak_hours_are_those_of_the_time_zone(given: Given) -> None:
    """2026-11-10 is a Tuesday: 12:00 UTC is 13:00 in Berlin, and Wednesday 00:00 in Auckland+."""
    given.turn("a", 0, duration=1)
    given.turn("a", 60, duration=3, handoff=True)
    given.turn("b", 7200)
    given.save()
    found = peak_hours(given.store, given.scope, DAY, NONE, "Europe/Berlin")
    assert len(found.cells) == 168
    assert found.peak is not None
    assert found.peak.model_dump() == {
        "weekday": 1,
        "hour": 13,
        "conversations": 1,
        "turns": 2,
        "mean_response_time": 2,
        "handoffs": 1,
    }
    assert found.peak_share == pytest.approx(2 / 3)
    east = peak_hours(given.store, given.scope, DAY, NONE, "Pacific/Auckland").peak
    assert east is not None
    assert (east.weekday, east.hour) == (2, 1)
    with pytest.raises(QueryError, match="Europe/Berlin"):
        peak_hours(given.store, given.scope, DAY, NONE, "Mars/Base")


def test_peak_hours_follow_summer_time(given: Given) -> None:
    """7:00 UTC is 8:00 in Berlin before the last Sunday of March 2026, and 9:00 after it."""
    for day in (28, 29):
        moment = datetime(2026, 3, day, 7, tzinfo=UTC)
        given.turn(f"d{day}", (moment - NOON).total_seconds())
    given.save()
    march = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC), now=NOON)
    cells = peak_hours(given.store, given.scope, march, NONE, "Europe/Berlin").cells
    assert [(c.weekday, c.hour) for c in cells if c.turns] == [(5, 8), (6, 9)]


def test_in_silence_there_is_no_peak(given: Given) -> None:
    """All hours are there, none of them is the busiest."""
    found = peak_hours(given.store, given.scope, DAY, NONE)
    assert (found.peak, found.peak_share, len(found.cells)) == (None, None, 168)


def test_leads_by_kind_and_place(given: Given) -> None:
    """Four conversations: one asks for a demo twice, one for a demo and a quote."""
    given.turn("a", 0, channel="web", agent="sales")
    given.event("lead", "a", 1, lead_kind="demo")
    given.event("lead", "a", 2, lead_kind="demo")
    given.turn("b", 3600, channel="web", agent="sales")
    given.event("lead", "b", 3601, lead_kind="demo")
    given.event("lead", "b", 3602, lead_kind="quote")
    given.turn("c", 0, channel="voice", agent="sales")
    given.turn("d", 0, channel="voice", agent="help")
    given.save()
    found = leads(given.store, given.scope, DAY, NONE, "1h")
    assert (found.leads, found.conversations, found.converted, found.conversion_rate) == (
        4,
        4,
        2,
        0.5,
    )
    assert [(k.kind, k.leads, k.conversations, k.conversion_rate) for k in found.kinds] == [
        ("demo", 3, 2, 0.5),
        ("quote", 1, 1, 0.25),
    ]
    assert [(c.name, c.conversations, c.converted) for c in found.channels] == [
        ("voice", 2, 0),
        ("web", 2, 2),
    ]
    assert [(a.name, a.conversion_rate) for a in found.agents] == [("sales", 2 / 3), ("help", 0)]
    assert [(p.start, p.converted, p.conversion_rate) for p in found.points if p.conversations] == [
        (at(0), 1, 1 / 3),
        (at(3600), 1, 1),
    ]
    empty = leads(given.store, given.scope, DAY, Filters(agent="nobody"))
    assert (empty.conversations, empty.conversion_rate, empty.kinds) == (0, None, [])
