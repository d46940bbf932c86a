"""What is asked of the server and counted beside it: windows and filters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tests.server.recount.figures import WHERES, Figures, Question
from tests.server.recount.world import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi.testclient import TestClient

    from tests.server.recount.lives import Conversation
    from tests.server.recount.world import World

MICROSECOND: Final = 1000
FILTERS: Final[tuple[dict[str, object], ...]] = (
    {"agent": "support"}, {"agent": "free"}, {"channel": "web"}, {"model": "small"},
    {"user_type": "client"}, {"outcome": "handed_off"}, {"outcome": "resolved"},
    {"state": "open"}, {"intent": "order"}, {"confidence_min": 0.7}, {"handoff": True},
    {"handoff": False}, {"message_type": "voice"}, {"variant": "a"}, {"agent_version": "2"},
    {"environment": "test"}, {"agent": "sales", "channel": "voice"},
    {"intent": "refund", "outcome": "abandoned"}, {"prompt": "greeting", "prompt_version": "2"},
    *({"where": where} for where in WHERES), {"channel": "web", "where": [*WHERES][1]},
)  # fmt: skip


def moment(ns: int) -> str:
    """A time as an address has it, to the microsecond."""
    since = timedelta(microseconds=ns // MICROSECOND)
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + since:%Y-%m-%dT%H:%M:%S.%fZ}"


def windows(world: World, everything: list[Conversation]) -> list[Question]:
    """Ten windows, of which the first holds everything, and two as of activity."""
    today = world.now // DAY * DAY
    end = world.now // MICROSECOND * MICROSECOND
    starts = sorted(one.started for one in everything if one.started % MICROSECOND == 0)
    half_past = today - 5 * DAY + 18 * HOUR + 30 * MINUTE  # a day begins where it is 5:30 ahead
    return [
        Question(today - 40 * DAY, end),
        Question(today - 90 * DAY, today - 60 * DAY),  # before everything
        Question(end - 7 * DAY, end),
        Question(end - DAY, end),
        Question(starts[len(starts) // 4], starts[3 * len(starts) // 4]),  # moments of turns
        Question(half_past, half_past + DAY),
        Question(today - 4 * DAY, today - 3 * DAY),
        Question(today - 3 * DAY + 7 * HOUR, today - 3 * DAY + 13 * HOUR),
        Question(today - 9 * DAY + 17 * MICROSECOND, today - 2 * DAY + 12 * HOUR + MICROSECOND),
        Question(today - 12 * DAY, today - 11 * DAY),
        Question(today - 6 * DAY, today - 4 * DAY, by="active"),
        Question(end - 7 * DAY, end, by="active"),
    ]


@dataclass
class Asked:
    """A server to which a world was sent, and the count of the same world.

    Args:
        client: Asks the server.
        headers: Who asks.
        everything: The conversations that the asker may see.
        questions: What is asked.
    """

    client: TestClient
    headers: Mapping[str, str]
    everything: list[Conversation]
    questions: list[Question]

    def __post_init__(self) -> None:
        self._answers: dict[tuple[str, int], Any] = {}
        self._figures: dict[int, Figures] = {}

    def answer(self, address: str, number: int, **more: object) -> Any:
        """What an endpoint says to a question; asked once."""
        if (address, number) not in self._answers:
            question = self.questions[number]
            window = {"from": moment(question.start), "to": moment(question.end)}
            params: Any = {**window, "by": question.by, **question.filters, **more}
            told = self.client.get(f"/api/v1/{address}", params=params, headers=self.headers)
            assert told.status_code == 200, told.text
            self._answers[address, number] = told
        return self._answers[address, number]

    def figures(self, number: int) -> Figures:
        """What was counted for a question."""
        if number not in self._figures:
            self._figures[number] = Figures(self.questions[number], self.everything)
        return self._figures[number]
