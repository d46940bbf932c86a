"""Conversations as whole lives: what became of each, by the definitions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from otel_chat import semconv as sc
from tests.server.recount.facts import HANDOFFS, WORKFLOWS, Event, Facts, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

IDLE: Final = 30 * 60 * 1_000_000_000
LISTENED: Final = ("user", "assistant", "human")


@dataclass(frozen=True)
class Run:
    """A workflow of a conversation.

    Args:
        name: Of the workflow.
        moves: Its events, in order.
    """

    name: str
    moves: tuple[Event, ...]

    @cached_property
    def unended(self) -> int:
        """How many starts had no end after them."""
        left = 0
        for move in self.moves:
            left = left + 1 if move.name == sc.EVENT_WORKFLOW_STARTED else max(left - 1, 0)
        return left

    def count(self, name: str) -> int:
        """How many of its events have a name."""
        return sum(move.name == name for move in self.moves)

    @property
    def started(self) -> int:
        """How often it was started: an end that came without a start was started too."""
        ended = self.count(sc.EVENT_WORKFLOW_COMPLETED) + self.count(sc.EVENT_WORKFLOW_FAILED)
        return ended + self.unended

    @property
    def given_up(self) -> bool:
        """Whether it was left open, or failed last."""
        return self.unended > 0 or self.moves[-1].name == sc.EVENT_WORKFLOW_FAILED

    @property
    def step(self) -> str:
        """The last step that its last run named."""
        begun = [n for n, move in enumerate(self.moves) if move.name == sc.EVENT_WORKFLOW_STARTED]
        last = self.moves[begun[-1] if begun else 0 :]
        named = [step for move in last if (step := move.text(sc.WORKFLOW_STEP))]
        return named[-1] if named else ""


@dataclass(frozen=True)
class Conversation:
    """One id of one tenant, with all of its turns and events.

    Args:
        tenant: Whose it is.
        name: Its id.
        now: When it is asked about.
        turns: In order, at least one.
        events: In order.
    """

    tenant: str
    name: str
    now: int
    turns: tuple[Turn, ...]
    events: tuple[Event, ...]

    def named(self, *names: str) -> list[Event]:
        """Its events of some names."""
        return [event for event in self.events if event.name in names]

    @property
    def first(self) -> Turn:
        """Its first turn."""
        return self.turns[0]

    @property
    def last(self) -> Turn:
        """Its last turn."""
        return self.turns[-1]

    @property
    def started(self) -> int:
        """When it started."""
        return self.first.start

    @cached_property
    def heard(self) -> list[int]:
        """When anybody but the system sent a message."""
        messages = self.named(sc.EVENT_MESSAGE)
        return [one.time for one in messages if one.text(sc.MESSAGE_SENDER) in LISTENED]

    @cached_property
    def active_until(self) -> int:
        """The end of its last activity."""
        return max([*(turn.end for turn in self.turns), *self.heard])

    @cached_property
    def ended(self) -> bool:
        """Whether an end or an outcome was told, and no activity began later."""
        told = [event.time for event in self.named(sc.EVENT_CONVERSATION_END)]
        return bool(told) and max(told) >= max([self.last.start, *self.heard])

    @cached_property
    def settled(self) -> bool:
        """Whether it is over."""
        return self.ended or self.now - self.active_until >= IDLE

    @cached_property
    def told_outcome(self) -> str:
        """The outcome that was told last; empty without."""
        told = [event.text(sc.OUTCOME) for event in self.named(sc.EVENT_CONVERSATION_END)]
        return next((outcome for outcome in reversed(told) if outcome), "")

    @cached_property
    def handed_off(self) -> bool:
        """Whether a human ever was asked for, or had it."""
        told = (event.text(sc.OUTCOME) for event in self.named(sc.EVENT_CONVERSATION_END))
        marked = any(turn.handoff for turn in self.turns)
        return marked or bool(self.named(*HANDOFFS)) or "handed_off" in told

    @cached_property
    def handoffs(self) -> int:
        """How many handoffs there were, each of request, acceptance and end."""
        marked = [turn for turn in self.turns if turn.handoff]
        moves = [(turn.start, 0, sc.EVENT_HANDOFF_REQUESTED) for turn in marked]
        for event in self.named(*HANDOFFS):
            asked_by_turn = event.trace in {turn.trace for turn in marked}
            if event.name != sc.EVENT_HANDOFF_REQUESTED or not asked_by_turn:
                moves.append((event.time, 1, event.name))
        count = waiting = going_on = 0
        for _, _, name in sorted(moves):
            if name == sc.EVENT_HANDOFF_REQUESTED:
                count, waiting = count + 1, waiting + 1
            elif name == sc.EVENT_HANDOFF_ACCEPTED:
                count, waiting = (count, waiting - 1) if waiting else (count + 1, 0)
                going_on += 1
            elif going_on:
                going_on -= 1
            elif waiting:
                waiting -= 1
            else:
                count += 1
        return count

    @cached_property
    def ratings(self) -> list[Event]:
        """The user feedback, in order."""
        given = self.named(sc.EVENT_EVALUATION)
        return [one for one in given if one.text(sc.EVALUATION_NAME) == sc.EVALUATION_USER_FEEDBACK]

    @cached_property
    def workflows(self) -> list[Run]:
        """Its workflows by name."""
        moves: dict[str, list[Event]] = defaultdict(list)
        for event in self.named(*WORKFLOWS):
            moves[event.text(sc.WORKFLOW_NAME)].append(event)
        return [Run(name, tuple(found)) for name, found in sorted(moves.items())]

    @cached_property
    def verdict(self) -> tuple[str, bool]:
        """Its outcome, and whether that is a confirmed resolution."""
        if not self.settled:
            return ("open", False)
        if self.told_outcome:
            return (self.told_outcome, self.told_outcome == "resolved")
        return ("handed_off", False) if self.handed_off else self._by_last_turn()

    def _by_last_turn(self) -> tuple[str, bool]:
        last = self.last
        if last.status == sc.STATUS_ERROR or (last.status != sc.STATUS_OK and not last.replied):
            return ("failed", False)
        box = self.ratings[-1].box if self.ratings else "between"
        if box != "between":
            return ("resolved", True) if box == "top" else ("abandoned", False)
        negative = last.text(sc.SENTIMENT) == "negative"
        if last.fallback or last.unsure or negative or any(run.unended for run in self.workflows):
            return ("abandoned", False)
        return ("resolved", False)

    @property
    def outcome(self) -> str:
        """open, resolved, handed_off, abandoned or failed."""
        return self.verdict[0]

    @property
    def confirmed(self) -> bool:
        """Whether it is a confirmed resolution."""
        return self.verdict[1]

    @property
    def contained(self) -> bool:
        """Whether it is settled without any human."""
        return self.settled and not self.handed_off

    @property
    def incomplete(self) -> bool:
        """Whether it is settled without explicit end, resolution or handoff."""
        return self.contained and not self.ended and self.outcome != "resolved"

    @property
    def dropped(self) -> bool:
        """Whether it came to nothing."""
        return self.outcome in {"abandoned", "failed"}

    @cached_property
    def engagement(self) -> float:
        """Its score, 0 to 100."""
        reached = {"resolved": 1.0, "open": 0.5, "handed_off": 0.5}.get(self.outcome, 0.0)
        actions = len(self.named(sc.EVENT_ACTION))
        return 40 * min(len(self.turns) / 10, 1) + 20 * min(actions / 3, 1) + 40 * reached

    @property
    def seconds(self) -> float:
        """Its duration."""
        return (self.active_until - self.started) / 1e9

    def messages(self, sender: str) -> int:
        """How many messages somebody sent."""
        between = sum(
            event.text(sc.MESSAGE_SENDER) == sender for event in self.named(sc.EVENT_MESSAGE)
        )
        return between + sides(self.turns, sender)

    @property
    def all_messages(self) -> int:
        """The messages of all senders."""
        return sum(map(self.messages, sc.SENDERS))

    @cached_property
    def cost(self) -> Decimal | None:
        """Of its priced turns; null where there is none."""
        return cost(self.turns)

    @cached_property
    def users(self) -> set[str]:
        """The hashes of its users."""
        return {user for turn in self.turns if (user := turn.text(sc.USER_HASH))}

    @cached_property
    def last_intent(self) -> str:
        """The intent of the last turn that has one; empty without."""
        named = [intent for turn in self.turns if (intent := turn.text(sc.INTENT_NAME))]
        return named[-1] if named else ""

    @property
    def stood(self) -> tuple[str, str] | None:
        """Workflow and step at which it was given up: of the workflow that moved last."""
        left = [run for run in self.workflows if run.given_up]
        if not left:
            return None
        latest = max(left, key=lambda run: run.moves[-1].order)
        return (latest.name, latest.step)


def sides(turns: Sequence[Turn], sender: str) -> int:
    """The messages of a sender that are sides of turns."""
    if sender == "user":
        return len(turns)
    return sum(turn.replied for turn in turns) if sender == "assistant" else 0


def cost(turns: Iterable[Turn]) -> Decimal | None:
    """The cost of the priced ones; null where there is none."""
    known = [turn.cost for turn in turns if turn.cost is not None]
    return sum(known, Decimal(0)) if known else None


def lives(facts: Facts, now: int, gap: int | None = None) -> list[Conversation]:
    """All conversations: events of an id without turns make none.

    Args:
        facts: Turns and events.
        now: When they are asked about.
        gap: A longer silence begins another conversation of the id; none does without.
    """
    turns: dict[tuple[str, str], list[Turn]] = defaultdict(list)
    events: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for turn in facts.turns:
        turns[turn.tenant, turn.conversation].append(turn)
    for event in facts.events:
        events[event.tenant, event.text(sc.CONVERSATION_ID)].append(event)
    if gap is None:
        return [
            Conversation(*key, now, tuple(found), tuple(events[key]))
            for key, found in turns.items()
        ]
    return [
        one
        for (tenant, name), found in turns.items()
        for one in episodes(Conversation(tenant, name, now, tuple(found), ()), events, gap)
    ]


def episodes(
    whole: Conversation, events: Mapping[tuple[str, str], Sequence[Event]], gap: int
) -> Iterator[Conversation]:
    """The parts of a conversation that silences make of it, each with its own id."""
    told = events[whole.tenant, whole.name]
    heard = Conversation(whole.tenant, whole.name, whole.now, whole.turns, tuple(told)).heard
    begun: list[int] = []
    busy_until = 0
    for turn in whole.turns:
        busy_until = max([busy_until, *(time for time in heard if time <= turn.start)])
        if not begun or turn.start - busy_until > gap:
            begun.append(turn.start)
        busy_until = max(busy_until, turn.end)
    bounds = [0, *begun[1:], 1 << 63]
    for number, (start, end) in enumerate(pairwise(bounds)):
        at = datetime.fromtimestamp(start // 10**9, UTC)
        name = f"{whole.name}@{at:%Y%m%dT%H%M%S}.{start % 10**9:09}Z"
        yield Conversation(
            whole.tenant,
            name if number else whole.name,
            whole.now,
            tuple(turn for turn in whole.turns if start <= turn.start < end),
            tuple(event for event in told if start <= event.time < end),
        )
