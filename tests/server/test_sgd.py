"""Real conversations with annotations, replayed: the figures beside a plain count of the file.

The cut copy is made by a fixed rule: of every other conversation (by checksum of its id) the user
leaves after a user message that the checksum picks, and the application says so.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_chat import semconv as sc
from otel_chat.client import AnalyticsClient
from otel_chat.client.local_server import free_port
from otel_chat.demo.classifier import intent_classifier
from otel_chat.replay.schedule import Schedule
from otel_chat.replay.transcripts import parse
from tests import web
from tests.commands import answer, serving
from tests.examples import THOROUGH
from tests.server.ingest.sending import PROTOBUF, Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

SHARED = Path(__file__).parents[3] / "shared" / "data" / "sgd-test.jsonl.gz"
WINDOW = {"from": "2026-11-09T00:00:00Z", "to": "2026-11-17T00:00:00Z"}
SECOND = 1_000_000_000
Talk = dict[str, Any]

pytestmark = [
    pytest.mark.skipif(
        not SHARED.exists(), reason="the data set does not lie beside this checkout"
    ),
    pytest.mark.timeout(900),
    pytest.mark.thorough,
]


def read() -> list[Talk]:
    """Every tenth conversation, of all services; every one where many examples are wanted."""
    with gzip.open(SHARED, "rt") as file:
        return [json.loads(line) for line in file][:: 1 if THOROUGH else 10]


def cut(talk: Talk) -> tuple[Talk, bool]:
    """A conversation under another id, and whether the user left it."""
    check = zlib.crc32(talk["conversation_id"].encode())
    lines = talk["turns"]
    left = check % 2 == 0
    if left:
        said = [at for at, line in enumerate(lines) if line["speaker"] == "user"]
        lines = lines[: said[check // 2 % len(said)] + 1]
    return talk | {"conversation_id": f"cut-{talk['conversation_id']}", "turns": lines}, left


def end_of(talk: Talk) -> LogRecord:
    """The application's word that the user left, a second after the last message."""
    transcript = parse(json.dumps(talk), 1)
    telemetry = Telemetry("default")
    record = telemetry.event(
        sc.EVENT_CONVERSATION_END, talk["conversation_id"], 0, **{sc.OUTCOME: "abandoned"}
    )
    record.time_unix_nano = Schedule().times(transcript)[-1] + SECOND
    return record


def user_lines(talk: Talk) -> list[Talk]:
    return [line for line in talk["turns"] if line["speaker"] == "user"]


@dataclass
class Replayed:
    """A server that has the file (agent whole) and the cut copy (agent cut), and both as read.

    `summary` is what the replay of the file said, before there was anything else.
    """

    url: str
    summary: dict[str, Any]
    whole: list[Talk]
    cut: list[Talk]
    left: list[Talk]

    def given_up(self, talks: list[Talk]) -> list[Talk]:
        """Those that the user left, and those whose last message the classifier was unsure of."""
        classifier, gone = intent_classifier(), {id(talk) for talk in self.left}
        last = {id(talk): classifier.classify(user_lines(talk)[-1]["text"]) for talk in talks}
        return [
            talk
            for talk in talks
            if id(talk) in gone
            or last[id(talk)].intent is None
            or (last[id(talk)].confidence or 0) < sc.LOW_CONFIDENCE_THRESHOLD
        ]

    def ask(self, path: str, agent: str, **parameters: Any) -> Any:
        """What the API answers about one of the two."""
        asked = WINDOW | {"agent": agent} | parameters
        found = web.get(f"{self.url}/api/v1/{path}", params=asked)
        assert found.status_code == 200, found.text
        return found.json()


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayed]:
    """Both files through `otel-chat replay`, into a server of their own."""
    folder = tmp_path_factory.mktemp("sgd")
    whole = read()
    copies = [cut(talk) for talk in whole]
    left = [talk for talk, gone in copies if gone]
    files = folder / "whole.jsonl", folder / "cut.jsonl"
    for file, talks in zip(files, (whole, [talk for talk, _ in copies]), strict=True):
        file.write_text("".join(f"{json.dumps(talk)}\n" for talk in talks))
    with ExitStack() as stack:
        url, _ = stack.enter_context(serving(folder / "store", free_port()))
        summary, of_copy = (
            answer("replay", str(file), "--server", url, "--agent", agent, cwd=folder)
            for file, agent in zip(files, ("whole", "cut"), strict=True)
        )
        assert (of_copy["lost"], of_copy["duplicates"]) == (0, 0)
        body = Telemetry("default").logs([end_of(talk) for talk in left]).SerializeToString()
        sent = web.post(f"{url}/v1/logs", content=body, headers=PROTOBUF)
        assert sent.status_code == 200
        with AnalyticsClient(url) as client:
            assert client.settled()
        yield Replayed(url, summary, whole, [talk for talk, _ in copies], left)


def test_a_whole_data_set_is_stored_once(replayed: Replayed) -> None:
    """Of real conversations every user message is a stored turn, none lost, none doubled."""
    summary = replayed.summary
    talks, turns = len(replayed.whole), sum(len(user_lines(talk)) for talk in replayed.whole)
    assert (talks, turns) == (2921, 24863) or not THOROUGH
    assert (summary["conversations"], summary["stored_conversations"]) == (talks, talks)
    assert (summary["turns"], summary["stored_turns"]) == (turns, turns)
    assert (summary["lost"], summary["duplicates"]) == (0, 0)


def test_annotated_intents_are_distributed_as_in_the_file(replayed: Replayed) -> None:
    """Each intent as often as the file's user messages have it, and no other."""
    counted = Counter(
        intent
        for talk in replayed.whole
        for line in user_lines(talk)
        for intent in line.get("intents", ())
    )
    found = replayed.ask("intents", "whole")
    shown = {one["name"]: one["annotations"] for one in found["items"] if one["annotations"]}
    assert shown == counted
    assert found["annotations"] == counted.total()
    assert found["turns"] == sum(len(user_lines(talk)) for talk in replayed.whole)


def test_services_are_distributed_as_in_the_file(replayed: Replayed) -> None:
    """The topics of conversations are the services of the file: how many, and what share."""
    counted = Counter(service for talk in replayed.whole for service in set(talk["services"]))
    found = replayed.ask("topics", "whole")
    assert {one["name"]: one["conversations"] for one in found["items"]} == counted
    every = sum(bool(talk["services"]) for talk in replayed.whole)
    lost = Counter(
        service for talk in replayed.given_up(replayed.whole) for service in set(talk["services"])
    )
    assert found["conversations"] == every
    for one in found["items"]:
        assert one["share"] == counted[one["name"]] / every
        assert one["unresolved"] == lost[one["name"]]


def test_drop_off_by_annotated_intents_agrees_with_a_count_of_the_cut_file(
    replayed: Replayed,
) -> None:
    """Where users left, and how many came by, counted in the cut copy line by line."""
    given_up = replayed.given_up(replayed.cut)
    last = list(map(last_annotated, given_up))
    reached: Counter[str | None] = Counter()
    for talk in replayed.cut:
        named = {intent for line in user_lines(talk) for intent in line.get("intents", ())}
        reached.update(named or {None})
    found = replayed.ask("journeys/drop-off", "cut", source="annotation")
    assert (found["settled"], found["dropped"]) == (len(replayed.cut), len(given_up))
    assert found["rate"] == len(given_up) / len(replayed.cut)
    assert {one["intent"]: one["reached"] for one in found["intents"]} == reached
    shown = {one["intent"]: one["dropped"] for one in found["intents"] if one["dropped"]}
    assert sum(shown.values()) == len(given_up)
    for intent in {name for names in last for name in names}:
        alone = sum(names == {intent} for names in last)
        assert alone <= shown.get(intent, 0) <= sum(intent in names for names in last)
    for one in found["intents"]:
        assert one["share"] == one["dropped"] / len(given_up)
        assert one["rate"] == one["dropped"] / one["reached"]
    assert len(shown) > 10


def last_annotated(talk: Talk) -> set[str | None]:
    """The last annotated intents; of several at once, any may be the last by its id."""
    named = [line["intents"] for line in user_lines(talk) if line.get("intents")]
    return set(named[-1]) if named else {None}


def test_drop_off_by_classified_intents_agrees_with_the_classifier(replayed: Replayed) -> None:
    """What the classifier makes of the last message before the user left."""
    classifier = intent_classifier()

    def classified(line: dict[str, Any]) -> str | None:
        return classifier.classify(line["text"]).intent

    dropped = Counter(
        next(intent for line in reversed(user_lines(talk)) if (intent := classified(line)))
        for talk in replayed.given_up(replayed.cut)
    )
    for found in (
        replayed.ask("journeys/drop-off", "cut")["intents"],
        [one | {"intent": one["name"]} for one in replayed.ask("intents", "cut")["items"]],
    ):
        assert {one["intent"]: one["dropped"] for one in found if one["dropped"]} == dropped


def test_only_who_was_misunderstood_dropped_off_in_the_whole_file(replayed: Replayed) -> None:
    """Its conversations come to their end: of some the classifier was unsure at the last."""
    found = replayed.ask("journeys/drop-off", "whole")
    given_up = len(replayed.given_up(replayed.whole))
    assert (found["settled"], found["dropped"]) == (len(replayed.whole), given_up)
    assert found["rate"] == given_up / len(replayed.whole)


def test_a_funnel_of_service_calls_agrees_with_a_count(replayed: Replayed) -> None:
    """About events, looked for some, then bought tickets: in the order of the file."""
    calls = [
        [call for line in talk["turns"] for call in line.get("service_calls", ())]
        for talk in replayed.whole
        if "Events_3" in talk["services"]
    ]
    looked = [made[made.index("FindEvents") :] for made in calls if "FindEvents" in made]
    bought = [made for made in looked if "BuyEventTickets" in made]
    steps = ["topic:Events_3", "action:FindEvents", "action:BuyEventTickets"]
    found = replayed.ask("journeys/funnel", "whole", step=steps)
    counted = [len(calls), len(looked), len(bought)]
    assert [one["conversations"] for one in found["steps"]] == counted
    assert all(more > fewer > 0 for more, fewer in pairwise(counted))
