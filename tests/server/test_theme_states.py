"""What is decided about unanswered questions: kept, found again tomorrow, erased; did it help?"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.given import NOON, Given

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

ALL = ("analytics:view", "conversations:read", "marks:write", "admin")
WEEK = 7 * 86_400.0


def bearer(
    client: TestClient, *tenants: str, scopes: tuple[str, ...] = ALL, name: str = "Dana"
) -> dict[str, str]:
    made = client.app.state.access.tokens.create(name, scopes=scopes, tenants=tenants)  # type: ignore[attr-defined]
    return {"authorization": f"Bearer {made.token}"}


def ago(**times: float) -> float:
    """So much before now, as seconds after the noon of the tests."""
    return (datetime.now(UTC) - timedelta(**times) - NOON).total_seconds()


def said(text: str) -> str:
    return json.dumps([{"role": "user", "parts": [{"type": "text", "content": text}]}])


def asks(
    given: Given, name: str, text: str, seconds: float, *, understood: bool = False
) -> dict[str, Any]:
    known = {"intent": "gift", "confidence": 0.95} if understood else {"fallback": True}
    return given.turn(name, seconds, input_messages=said(text), **known)


def themes(client: TestClient, headers: dict[str, str], **asked: Any) -> dict[str, Any]:
    answer = client.get("/api/v1/unanswered", params=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def states(found: dict[str, Any]) -> dict[str, str]:
    return {theme["label"]: theme["state"] for theme in found["items"]}


def decide(client: TestClient, headers: dict[str, str], trace: str, state: str) -> Any:
    place = f"/api/v1/unanswered/{trace}/state"
    return client.put(place, json={"state": state}, headers=headers)


def test_what_is_decided_is_found_again_tomorrow(client: TestClient, given: Given) -> None:
    """Other words, other conversations, another window: the same question; others stay open."""
    asks(given, "a", "How much is left on my gift card?", ago(days=1.5))
    asks(given, "b", "gift card balance", ago(days=1.4))
    asks(given, "c", "Is there parking at the store?", ago(days=1.3))
    given.save()
    mine = bearer(client, given.tenant)
    gift, _ = themes(client, mine)["items"]
    decided = decide(client, mine, gift["asking"], "answered")
    assert decided.status_code == 200, decided.text
    assert (decided.json()["state"], decided.json()["by"]) == ("answered", "Dana")
    asks(given, "d", "whats the balance of my gift card", ago(hours=2))
    asks(given, "e", "my gift card: how much is left", ago(hours=1))
    asks(given, "f", "parking near the store", ago(hours=1))
    given.save()
    found = themes(client, mine, window="24h")
    assert sorted(states(found).values()) == ["answered", "open"]
    assert found["by_state"] == {"open": 1, "answered": 1, "ignored": 0}
    again = next(theme for theme in found["items"] if theme["state"] == "answered")
    assert "gift card" in again["label"]
    assert (again["decision"]["by"], again["decision"]["trace_id"]) == ("Dana", gift["asking"])
    opened = themes(client, mine, window="24h", theme_state="open")
    assert [theme["label"] for theme in opened["items"]] == ["parking near the store"]
    assert (opened["themes"], opened["others"]) == (1, 2)


def test_the_last_decision_counts(client: TestClient, given: Given) -> None:
    """Of two about one question, with another asking each."""
    first = asks(given, "a", "gift card balance", ago(hours=3))
    second = asks(given, "b", "balance of my gift card", ago(hours=2))
    given.save()
    mine = bearer(client, given.tenant)
    decide(client, mine, first["trace_id"], "ignored")
    assert list(states(themes(client, mine)).values()) == ["ignored"]
    decide(client, mine, second["trace_id"], "open")
    assert list(states(themes(client, mine)).values()) == ["open"]


def test_a_theme_lists_exactly_its_conversations(client: TestClient, given: Given) -> None:
    """Each once, by its last asking; asked by whichever of its askings."""
    first = asks(given, "a", "gift card balance", ago(hours=3))
    asks(given, "b", "balance of my gift card", ago(hours=2))
    asks(given, "a", "gift card balance please", ago(hours=1))
    asks(given, "c", "parking", ago(hours=1))
    given.save()
    mine = bearer(client, given.tenant)
    place = f"/api/v1/unanswered/{first['trace_id']}"
    found = client.get(place, headers=mine).json()
    assert [one["conversation_id"] for one in found["conversations"]] == ["a", "b"]
    assert found["theme"]["conversations"] == 2
    assert found["question"] == found["theme"]["label"]
    assert client.get(f"/api/v1/unanswered/{'0' * 32}", headers=mine).status_code == 404


def test_who_may_decide(client: TestClient, given: Given) -> None:
    """Both scopes are needed, and the turn must be of the token's tenant and have a text."""
    row = asks(given, "a", "gift card balance", ago(hours=3))
    silent = given.turn("b", ago(hours=2), fallback=True)
    given.save()
    trace = row["trace_id"]
    for missing in ("conversations:read", "marks:write"):
        lacking = bearer(client, given.tenant, scopes=tuple({*ALL} - {missing}))
        answer = decide(client, lacking, trace, "ignored")
        assert answer.status_code == 403
        assert missing in answer.text
    elsewhere = bearer(client, Given(given.store).tenant)
    assert decide(client, elsewhere, trace, "ignored").status_code == 404
    mine = bearer(client, given.tenant)
    refused = decide(client, mine, silent["trace_id"], "ignored")
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "trace_id")
    wrong = decide(client, mine, trace, "done")
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (422, "state")


@pytest.mark.parametrize("body", [{"conversation_id": "a"}, {"user_hash": "ann"}, {"before": ""}])
def test_a_decision_goes_with_the_asking_that_it_is_kept_with(
    client: TestClient, given: Given, body: dict[str, str]
) -> None:
    """Its text is what somebody wrote: erased in whatever way, it is in no table any more."""
    other = Given(given.store)
    asked = {}
    for each in (given, other):
        row = asks(each, "a", "gift card balance", ago(hours=30))
        row["user_hash"] = "ann"
        kept = asks(each, "b", "parking", ago(hours=2))
        each.save()
        mine = bearer(client, each.tenant)
        for one in (row, kept):
            decide(client, mine, one["trace_id"], "ignored")
        asked[each.tenant] = kept["trace_id"]
    if "before" in body:
        body = {"before": (datetime.now(UTC) - timedelta(days=1)).isoformat()}
    headers = bearer(client, given.tenant)
    assert client.post("/api/v1/erasures", json=body, headers=headers).status_code == 200
    rows = given.store.query(
        "SELECT tenant, trace_id FROM theme_states WHERE tenant IN {tenants:Array(String)}",
        {"tenants": [given.tenant, other.tenant]},
    )
    of_mine = [row["trace_id"] for row in rows if row["tenant"] == given.tenant]
    assert of_mine == [asked[given.tenant]]
    assert len(rows) == 3


def answered_two_weeks_ago(given: Given, trace: str, message: str) -> None:
    """As if it had been decided then."""
    at = datetime.now(UTC) - timedelta(weeks=2)
    row = {"tenant": given.tenant, "trace_id": trace, "message": message, "state": "answered"}
    given.store.insert_rows(
        "theme_states", [{**row, "changed_by": "Dana", "changed_at": at, "version": 1}]
    )


@pytest.mark.parametrize(
    ("understood", "verdict"), [(20, "fewer"), (1, "within_chance")], ids=["it did", "who knows"]
)
def test_did_it_help(client: TestClient, given: Given, understood: int, verdict: str) -> None:
    """20 conversations asked in the four weeks before, none understood; 20 in the two after."""
    text = "How much is left on my gift card?"
    first = asks(given, "first", text, ago(days=41))
    for number in range(19):
        asks(given, f"before-{number}", f"left on gift card {number}?", ago(days=15 + number))
    for number in range(20):
        known = number < understood
        name = f"after-{number}"
        asks(given, name, "gift card, how much is left?", ago(days=12, minutes=number))
        # Asked again in the same conversation: the last time counts.
        asks(given, name, "left on gift card", ago(days=11, minutes=number), understood=known)
    given.turn("other", ago(days=3), input_messages=said("Is there parking?"), fallback=True)
    given.save()
    answered_two_weeks_ago(given, first["trace_id"], text)
    mine = bearer(client, given.tenant)
    found = client.get(f"/api/v1/unanswered/{first['trace_id']}/effect", headers=mine).json()
    before, after = found["before"], found["after"]
    assert (before["conversations"], before["unanswered"]) == (20, 20)
    assert (after["conversations"], after["unanswered"]) == (20, 20 - understood)
    assert before["per_week"] == pytest.approx(20 / 27 * 7, rel=0.01)
    assert after["per_week"] == pytest.approx(10, rel=0.01)
    assert before["per_week_low"] < before["per_week"] < before["per_week_high"]
    assert after["rate_low"] <= after["rate"] <= after["rate_high"]
    assert found["verdict"] == verdict


def test_nothing_is_told_of_what_was_not_decided(client: TestClient, given: Given) -> None:
    """A question that nobody decided about has no before and after."""
    row = asks(given, "a", "gift card balance", ago(hours=3))
    given.save()
    mine = bearer(client, given.tenant)
    place = f"/api/v1/unanswered/{row['trace_id']}/effect"
    assert client.get(place, headers=mine).status_code == 404
