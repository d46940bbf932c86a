"""Reviews: what is said, by which rubric, of which sample; kept, counted, exported, erased."""

from __future__ import annotations

import csv
import io
import json
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from sklearn.metrics import cohen_kappa_score

from otel_chat.server.figures.agreement import kappa
from otel_chat.server.figures.intervals import Sample as Values
from otel_chat.server.figures.intervals import mean_interval, wilson
from otel_chat.server.store import Store
from tests.server.given import NOON, Given, at

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

ALL = ("analytics:view", "conversations:read", "marks:write", "export:create", "admin")
TIMES = {"from": "2026-11-10T00:00:00Z", "to": "2026-11-11T00:00:00Z"}


def bearer(
    client: TestClient, *tenants: str, name: str = "Ana", scopes: tuple[str, ...] = ALL
) -> dict[str, str]:
    made = client.app.state.access.tokens.create(name, scopes=scopes, tenants=tenants)  # type: ignore[attr-defined]
    return {"authorization": f"Bearer {made.token}"}


def say(
    client: TestClient, who: dict[str, str], name: str, labels: tuple[str, ...] = (), **scores: str
) -> Any:
    body = {"scores": scores, "labels": labels}
    answer = client.put(f"/api/v1/reviews/{name}", json=body, headers=who)
    assert answer.status_code == 200, answer.text
    return answer.json()


def results(client: TestClient, who: dict[str, str], **asked: str) -> Any:
    return client.get("/api/v1/reviews", params={**TIMES, **asked}, headers=who).json()


def listed(client: TestClient, who: dict[str, str], **asked: Any) -> list[str]:
    answer = client.get("/api/v1/conversations", params={**TIMES, **asked}, headers=who)
    assert answer.status_code == 200, answer.text
    return sorted(item["conversation_id"] for item in answer.json()["items"])


@pytest.fixture
def twelve(given: Given) -> Given:
    """Conversations c00 to c11, a minute apart."""
    for number in range(12):
        given.turn(f"c{number:02d}", 60 * number, agent="support" if number % 2 else "sales")
    given.save()
    return given


def test_a_reviewer_says_and_takes_back(client: TestClient, twelve: Given) -> None:
    """Who, when and what; said again it stands in place; the mark `reviewed` follows."""
    ana = bearer(client, twelve.tenant)
    before = client.get("/api/v1/conversations/c00", headers=ana).json()["summary"]
    kept = say(client, ana, "c00", ("tone", "misunderstood"), resolved="no", quality="2")
    assert (kept["reviewer"], kept["scores"]) == ("Ana", {"resolved": "no", "quality": "2"})
    assert kept["labels"] == ["misunderstood", "tone"]
    mark = client.get("/api/v1/marks/c00", headers=ana).json()
    assert (mark["reviewed"], mark["reviewed_by"]) == (True, "Ana")
    assert mark["reviewed_at"] is not None
    assert listed(client, ana, reviewed="true") == ["c00"]
    after = client.get("/api/v1/conversations/c00", headers=ana).json()["summary"]
    assert after == before  # the outcome above all
    say(client, ana, "c00", resolved="partly")
    (one,) = client.get("/api/v1/reviews/c00", headers=ana).json()["items"]
    assert (one["scores"], one["labels"]) == ({"resolved": "partly"}, [])
    assert client.delete("/api/v1/reviews/c00", headers=ana).status_code == 200
    assert client.get("/api/v1/reviews/c00", headers=ana).json()["items"] == []
    assert client.get("/api/v1/marks/c00", headers=ana).json()["reviewed"] is False
    assert client.delete("/api/v1/reviews/c00", headers=ana).status_code == 404


def test_nobody_takes_back_what_another_said(client: TestClient, twelve: Given) -> None:
    """A name is a reviewer: a new token of the same name goes on; another has its own say."""
    ana, ben = bearer(client, twelve.tenant), bearer(client, twelve.tenant, name="Ben")
    say(client, ana, "c00", resolved="no")
    assert client.delete("/api/v1/reviews/c00", headers=ben).status_code == 404
    say(client, ben, "c00", resolved="yes")
    say(client, bearer(client, twelve.tenant), "c00", resolved="partly")
    items = client.get("/api/v1/reviews/c00", headers=ana).json()["items"]
    said = {item["reviewer"]: item["scores"]["resolved"] for item in items}
    assert said == {"Ana": "partly", "Ben": "yes"}
    client.delete("/api/v1/reviews/c00", headers=ben)
    assert client.get("/api/v1/marks/c00", headers=ana).json()["reviewed"] is True


def test_comments_are_for_readers(client: TestClient, twelve: Given) -> None:
    """Without conversations:read it is not told, and saying something else does not lose it."""
    ana = bearer(client, twelve.tenant)
    client.put("/api/v1/reviews/c00", json={"comment": " Rude \u2026 "}, headers=ana)
    blind = bearer(client, twelve.tenant, scopes=("analytics:view", "marks:write"))
    (seen,) = client.get("/api/v1/reviews/c00", headers=blind).json()["items"]
    assert seen["comment"] is None
    assert say(client, blind, "c00", resolved="no")["comment"] is None
    (read,) = client.get("/api/v1/reviews/c00", headers=ana).json()["items"]
    assert (read["comment"], read["scores"]) == ("Rude \u2026", {"resolved": "no"})


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"scores": {"resolvd": "no"}}, "scores", "there are resolved, quality"),
        ({"scores": {"quality": "6"}}, "scores", "1, 2, 3, 4, 5"),
        ({"labels": ["rude"]}, "labels", "misunderstood"),
        ({"comment": "x" * 10_001}, "comment", "10,000 characters"),
        ({"verdict": "no"}, "verdict", ""),
    ],
)
def test_a_wrong_verdict_says_what_is_right(
    client: TestClient, twelve: Given, body: dict[str, Any], field: str, words: str
) -> None:
    """422 names the field and what it takes; nothing is kept."""
    ana = bearer(client, twelve.tenant)
    answer = client.put("/api/v1/reviews/c00", json=body, headers=ana)
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, field)
    assert words in error["message"]
    assert client.get("/api/v1/marks/c00", headers=ana).json()["reviewed"] is False


def test_the_rubric_is_a_tenants_own(client: TestClient, twelve: Given) -> None:
    """Set by an admin; what was said by the former stays; others keep the usual one."""
    ana = bearer(client, twelve.tenant)
    say(client, ana, "c00", resolved="no")
    wanted = {"scores": [{"name": "safe", "values": ["yes", "no"]}], "labels": ["harm"]}
    ben = bearer(client, twelve.tenant, name="Ben", scopes=ALL[:4])
    assert client.put("/api/v1/rubric", json=wanted, headers=ben).status_code == 403
    kept = client.put("/api/v1/rubric", json=wanted, headers=ana).json()
    assert (kept["rubric"], kept["changed_by"]) == (wanted, "Ana")
    say(client, ben, "c01", ("harm",), safe="no")
    assert client.get("/api/v1/rubric", headers=ben).json()["rubric"] == wanted
    found = {one["name"]: one["conversations"] for one in results(client, ana)["scores"]}
    assert found == {"safe": 1, "resolved": 1}
    other = bearer(client, Given(twelve.store).tenant)
    usual = client.get("/api/v1/rubric", headers=other).json()
    assert [one["name"] for one in usual["rubric"]["scores"]] == ["resolved", "quality"]
    assert usual["changed_by"] is None
    named = {"tenant": twelve.tenant}
    for answer in (
        client.get("/api/v1/rubric", params=named, headers=other),
        client.put("/api/v1/rubric", params=named, json=wanted, headers=other),
    ):
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"scores": []}, "Must not be empty"),
        ({"scores": [{"name": "a", "values": ["x"]}]}, "at least 2"),
        ({"scores": [{"name": "a", "values": ["x", "x"]}]}, "twice"),
        ({"scores": [{"name": "a: b", "values": ["x", "y"]}]}, "without : , and ="),
        ({"scores": [{"name": "a", "values": ["x", "y"]}], "labels": ["l", "l"]}, "twice"),
    ],
)
def test_a_wrong_rubric_is_refused(
    client: TestClient, given: Given, wanted: dict[str, Any], words: str
) -> None:
    """In words; the one before stays."""
    ana = bearer(client, given.tenant)
    answer = client.put("/api/v1/rubric", json=wanted, headers=ana)
    assert answer.status_code == 422
    assert words in answer.text
    assert client.get("/api/v1/rubric", headers=ana).json()["changed_by"] is None


def draw(client: TestClient, who: dict[str, str], **wanted: Any) -> Any:
    asked = {**TIMES, **{name: wanted.pop(name) for name in ("agent",) if name in wanted}}
    return client.post("/api/v1/samples", params=asked, json=wanted, headers=who)


def test_a_sample_can_be_drawn_again(client: TestClient, twelve: Given) -> None:
    """The same seed draws the same, another seed others; what it was drawn of is kept with it."""
    ana = bearer(client, twelve.tenant)
    drawn = draw(client, ana, name="first", size=5, seed=7)
    assert drawn.status_code == 201
    told = drawn.json()
    assert (told["seed"], told["size"], told["drawn"], told["population"]) == (7, 5, 5, 12)
    assert (told["drawn_by"], told["left"], told["reviewed"]) == ("Ana", 5, 0)
    assert told["window"]["from"] == TIMES["from"]
    first = listed(client, ana, sample="first")
    assert len(first) == 5
    draw(client, ana, name="again", size=5, seed=7)
    assert listed(client, ana, sample="again") == first
    others = set()
    for seed in range(8):
        draw(client, ana, name=f"s{seed}", size=5, seed=seed + 100)
        others.add(tuple(listed(client, ana, sample=f"s{seed}")))
    assert len(others) > 4
    of_sales = draw(client, ana, size=100, agent="sales").json()
    assert (of_sales["drawn"], of_sales["words"]) == (6, ["Agent is sales"])
    assert f"seed {of_sales['seed']}" in of_sales["name"]
    taken = draw(client, ana, name="first", size=2)
    assert (taken.status_code, taken.json()["error"]["field"]) == (422, "name")


def test_every_conversation_is_as_likely(client: TestClient, twelve: Given) -> None:
    """Over many seeds each of twelve is drawn about as often: no order of ids or times shows."""
    ana = bearer(client, twelve.tenant)
    times = dict.fromkeys((f"c{number:02d}" for number in range(12)), 0)
    for seed in range(60):
        draw(client, ana, name=f"s{seed}", size=3, seed=seed)
        for name in listed(client, ana, sample=f"s{seed}"):
            times[name] += 1
    # 60 draws of 3 of 12: each is drawn 15 times on average, with a deviation of 3.4.
    assert sum(times.values()) == 180
    assert min(times.values()) >= 4
    assert max(times.values()) <= 27


def test_open_conversations_are_not_drawn(client: TestClient, given: Given) -> None:
    """Their outcome is not known yet; where there is nothing to draw it says so."""
    given.turn("open", (datetime.now(UTC) - NOON).total_seconds() - 60)
    given.save()
    ana = bearer(client, given.tenant)
    answer = client.post("/api/v1/samples", params={"window": "24h"}, json={}, headers=ana)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "window")
    assert client.get("/api/v1/samples", headers=ana).json()["items"] == []


def test_only_a_random_sample_tells_a_rate(client: TestClient, twelve: Given) -> None:
    """Of what was picked there are counts and the reason; of a sample Wilson's interval."""
    ana = bearer(client, twelve.tenant)
    draw(client, ana, name="a", size=8, seed=1)
    members = client.get("/api/v1/samples/a", headers=ana).json()["conversation_ids"]
    assert sorted(members) == listed(client, ana, sample="a")
    for number, name in enumerate(members[:6]):
        say(client, ana, name, resolved="yes" if number < 4 else "no", quality=str(number % 3 + 2))
    picked = results(client, ana)
    assert picked["conversations"] == 6
    assert "picked" in picked["no_rate"]
    assert [one["rate"] for one in picked["scores"][0]["values"]] == [None] * 3
    assert [one["conversations"] for one in picked["scores"][0]["values"]] == [4, 0, 2]
    assert picked["scores"][1]["mean"] is None
    found = client.get("/api/v1/reviews", params={"sample": "a"}, headers=ana).json()
    assert (found["no_rate"], found["conversations"]) == (None, 6)
    assert (found["sample"]["drawn"], found["sample"]["reviewed"]) == (8, 6)
    yes = found["scores"][0]["values"][0]
    low, high = wilson(4, 6) or (0, 0)
    assert yes == {"value": "yes", "conversations": 4, "rate": 4 / 6, "low": low, "high": high}
    quality = found["scores"][1]
    within = mean_interval(Values(6, 3.0, 0.8))
    assert quality["mean"] == 3.0
    assert (quality["mean_low"], quality["mean_high"]) == pytest.approx(within)
    narrowed = results(client, ana, sample="a", agent="sales")
    assert narrowed["no_rate"] is not None


def test_a_sample_of_any_conditions(client: TestClient, twelve: Given) -> None:
    """Nested ones too are kept with it; conditions beside the sample leave it no rate."""
    ana = bearer(client, twelve.tenant)
    asked = {**TIMES, "where": "agent = sales or agent = nobody"}
    body = {"name": "a", "size": 20, "seed": 1}
    drawn = client.post("/api/v1/samples", params=asked, json=body, headers=ana).json()
    assert (drawn["drawn"], drawn["population"]) == (6, 6)
    assert drawn["words"] == [asked["where"]]
    assert drawn["filters"] == "where=agent+%3D+sales+or+agent+%3D+nobody"
    first = client.get("/api/v1/samples/a", headers=ana).json()["conversation_ids"][0]
    say(client, ana, first, resolved="yes")
    assert results(client, ana, sample="a")["no_rate"] is None
    narrowed = results(client, ana, sample="a", where="failed")
    assert narrowed["sample"] is None
    assert "picked" in narrowed["no_rate"]


def test_what_was_read_out_of_turn_is_in_no_rate(client: TestClient, twelve: Given) -> None:
    """It may have been picked: it is counted, and in the rate once those before it are read."""
    ana = bearer(client, twelve.tenant)
    draw(client, ana, name="a", size=12, seed=3)
    members = client.get("/api/v1/samples/a", headers=ana).json()["conversation_ids"]
    for name in members[3:6]:
        say(client, ana, name, ("tone",), resolved="no", quality="1")
    asked = {"sample": "a"}
    early = client.get("/api/v1/reviews", params=asked, headers=ana).json()
    assert (early["conversations"], early["rated"]) == (3, 0)
    assert "picked" in early["no_rate"]
    assert early["labels"] == [
        {"value": "tone", "conversations": 3, "rate": None, "low": None, "high": None}
    ]
    for name in members[:2]:
        say(client, ana, name, resolved="yes", quality="5")
    later = client.get("/api/v1/reviews", params=asked, headers=ana).json()
    assert (later["conversations"], later["rated"], later["no_rate"]) == (5, 2, None)
    shown = {
        one["value"]: (one["conversations"], one["rate"]) for one in later["scores"][0]["values"]
    }
    assert shown == {"yes": (2, 1.0), "partly": (0, 0.0), "no": (3, 0.0)}
    assert later["scores"][1]["mean"] == 5.0
    sample = client.get("/api/v1/samples/a", headers=ana).json()
    assert (sample["reviewed"], sample["in_order"]) == (5, 2)
    assert sample["verdicts"] == {"quality: 5": 2, "resolved: yes": 2}
    say(client, ana, members[2], resolved="yes")
    whole = client.get("/api/v1/reviews", params=asked, headers=ana).json()
    assert whole["rated"] == 6
    assert [one["rate"] for one in whole["scores"][0]["values"]] == [0.5, 0.0, 0.5]
    assert whole["scores"][1]["rated"] == 5


def test_counts_open_what_they_count(client: TestClient, twelve: Given) -> None:
    """Verdicts, labels and reviewers are filters; where reviewers differ, more than half counts."""
    ana, ben, cay = (bearer(client, twelve.tenant, name=name) for name in ("Ana", "Ben", "Cay"))
    for who, values in ((ana, "yyn"), (ben, "ynn"), (cay, " yy")):
        for number, value in enumerate(values):
            if value != " ":
                word = {"y": "yes", "n": "no"}[value]
                say(client, who, f"c{number:02d}", ("tone",) if value == "n" else (), resolved=word)
    say(client, ana, "c03", resolved="yes")
    say(client, ben, "c03", resolved="no")
    found = results(client, ana)
    counts = {one["value"]: one["conversations"] for one in found["scores"][0]["values"]}
    assert counts == {"yes": 2, "partly": 0, "no": 1}
    assert found["scores"][0]["differ"] == 1
    assert found["reviewers"] == {"Ana": 4, "Ben": 4, "Cay": 2}
    assert listed(client, ana, verdict="resolved: yes") == ["c00", "c01"]
    assert listed(client, ana, verdict="resolved: no") == ["c02"]
    assert listed(client, ana, label="tone") == ["c01", "c02"]
    assert {one["value"]: one["conversations"] for one in found["labels"]} == {"tone": 2}
    assert listed(client, ana, reviewer="Cay") == ["c01", "c02"]
    assert len(listed(client, ana, reviewer_not="Ana")) == 8
    cells = {(one["outcome"], one["value"]): one["conversations"] for one in found["outcomes"]}
    assert cells == {("resolved", "yes"): 2, ("resolved", "no"): 1}


def test_agreement_of_two_reviewers(client: TestClient, twelve: Given) -> None:
    """Kappa of each pair over what both reviewed, of numbers with weights, as scikit-learn has."""
    ana, ben = bearer(client, twelve.tenant), bearer(client, twelve.tenant, name="Ben")
    chance = random.Random(5)
    given: dict[str, tuple[list[str], list[str]]] = {"resolved": ([], []), "quality": ([], [])}
    for number in range(10):
        for who, side in ((ana, 0), (ben, 1)):
            resolved = chance.choice(("yes", "yes", "partly", "no"))
            quality = str(chance.randint(2, 5))
            say(client, who, f"c{number:02d}", resolved=resolved, quality=quality)
            given["resolved"][side].append(resolved)
            given["quality"][side].append(quality)
    say(client, ana, "c11", resolved="no")
    found = {one["score"]: one for one in results(client, ana)["agreement"]}
    for name, weights in (("resolved", None), ("quality", "quadratic")):
        one, (first, second) = found[name], given[name]
        assert (one["first"], one["second"], one["conversations"]) == ("Ana", "Ben", 10)
        assert one["same"] == sum(a == b for a, b in zip(first, second, strict=True))
        values = (
            [int(v) for v in first] if weights else first,
            ([int(v) for v in second] if weights else second),
        )
        labels = [1, 2, 3, 4, 5] if weights else None
        expected = cohen_kappa_score(*values, weights=weights, labels=labels)
        assert one["kappa"] == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("weights", [None, "quadratic"])
def test_kappa_is_scikit_learns(seed: int, weights: str | None) -> None:
    """Over tables of all kinds, to the last digits."""
    chance = random.Random(seed)
    first = [chance.randint(1, 4) for _ in range(30)]
    second = [value if chance.random() < 0.5 else chance.randint(1, 4) for value in first]
    pairs: dict[tuple[str, str], int] = {}
    for one, other in zip(first, second, strict=True):
        pairs[str(one), str(other)] = pairs.get((str(one), str(other)), 0) + 1
    found = kappa(pairs, "1234", weighted=weights is not None)
    assert found == pytest.approx(cohen_kappa_score(first, second, weights=weights))


def test_reviews_are_exported(client: TestClient, twelve: Given) -> None:
    """A row for each reviewer of each conversation, beside the outcome, in every format."""
    ana, ben = bearer(client, twelve.tenant), bearer(client, twelve.tenant, name="=Ben")
    draw(client, ana, name="a", size=12, seed=1)
    client.put(
        "/api/v1/reviews/c01",
        json={"scores": {"resolved": "no"}, "labels": ["tone"], "comment": "=1+1"},
        headers=ana,
    )
    say(client, ben, "c01", resolved="yes", quality="4")
    say(client, ana, "c00")
    asked = {**TIMES, "format": "jsonl"}
    lines = client.get("/api/v1/exports/reviews", params=asked, headers=ana).text.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [(row["conversation_id"], row["reviewer"]) for row in rows] == [
        ("c00", "Ana"), ("c01", "=Ben"), ("c01", "Ana"),
    ]  # fmt: skip
    assert rows[2]["verdicts"] == ["resolved: no"]
    assert (rows[2]["labels"], rows[2]["comment"]) == (["tone"], "=1+1")
    assert (rows[2]["outcome"], rows[2]["samples"]) == ("resolved", ["a"])
    assert rows[0]["verdicts"] == []
    blind = bearer(client, twelve.tenant, scopes=("analytics:view", "export:create"))
    text = client.get("/api/v1/exports/reviews", params=asked, headers=blind).text
    assert "1+1" not in text
    sheet = client.get(
        "/api/v1/exports/reviews", params={**TIMES, "format": "csv", "sample": "a"}, headers=ana
    )
    cells = list(csv.DictReader(io.StringIO(sheet.text)))
    assert [cell["comment"] for cell in cells] == ["", "", "'=1+1"]
    assert cells[1]["reviewer"] == "'=Ben"
    parquet = client.get(
        "/api/v1/exports/reviews", params={**TIMES, "format": "parquet"}, headers=ana
    )
    assert parquet.content.startswith(b"PAR1")


def test_a_sample_is_forgotten_without_what_was_said(client: TestClient, twelve: Given) -> None:
    """Its name is free again; reviews stay."""
    ana = bearer(client, twelve.tenant)
    name = "50 % / of all?"
    draw(client, ana, name=name, size=3, seed=1)
    (one, *_) = listed(client, ana, sample=name)
    say(client, ana, one, resolved="no")
    place = f"/api/v1/samples/{quote(name, safe='')}"
    assert client.get(place, headers=ana).json()["reviewed"] == 1
    other = bearer(client, Given(twelve.store).tenant)
    assert client.delete(place, headers=other).status_code == 404
    assert client.delete(place, headers=ana).json()["name"] == name
    assert client.get(place, headers=ana).status_code == 404
    assert listed(client, ana, sample=name) == []
    assert len(client.get(f"/api/v1/reviews/{one}", headers=ana).json()["items"]) == 1
    assert draw(client, ana, name=name, size=2, seed=2).json()["left"] == 2
    assert len(listed(client, ana, sample=name)) == 2


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"conversation_id": "a"}, ["b", "c"]),
        ({"user_hash": "ann"}, ["c"]),
        ({"before": at(60).isoformat()}, ["b", "c"]),
    ],
    ids=["conversation", "user", "before"],
)
def test_erasing_a_conversation_erases_what_was_said(
    client: TestClient, given: Given, body: dict[str, str], left: list[str]
) -> None:
    """Verdicts and its place in samples, in whatever way it is erased; not another tenant's."""
    other = Given(given.store)
    for number, (name, user) in enumerate((("a", "ann"), ("b", "ann"), ("c", "bob"))):
        for each in (given, other):
            each.turn(name, 60 * number, user_hash=user)
    for each in (given, other):
        each.save()
        who = bearer(client, each.tenant)
        draw(client, who, name="all", size=9)
        for name in ("a", "b"):
            say(client, who, name, resolved="no")
    mine = bearer(client, given.tenant)
    assert client.post("/api/v1/erasures", json=body, headers=mine).status_code == 200
    assert ids(given.store, "sampled", given.tenant) == left
    assert ids(given.store, "reviews", given.tenant) == [name for name in left if name != "c"]
    assert ids(given.store, "sampled", other.tenant) == ["a", "b", "c"]
    assert ids(given.store, "reviews", other.tenant) == ["a", "b"]
    sample = client.get("/api/v1/samples/all", headers=mine).json()
    assert (sample["drawn"], sample["left"]) == (3, len(left))


def ids(store: Store, table: str, tenant: str) -> list[str]:
    rows = store.query(
        f"SELECT DISTINCT conversation_id FROM {table} FINAL"
        " WHERE tenant = {tenant:String} ORDER BY ALL",
        {"tenant": tenant},
    )
    return [row["conversation_id"] for row in rows]
