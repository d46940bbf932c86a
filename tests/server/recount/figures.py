"""What the definitions come to over some of the conversations: one property a figure."""
# ruff: noqa: D102 - a property is named as the definition that it counts

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Final

from otel_chat import semconv as sc
from tests.server.recount.facts import BILLIONTH
from tests.server.recount.lives import cost, sides

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tests.server.recount.facts import Event, Turn
    from tests.server.recount.lives import Conversation

HOUR: Final = 3_600_000_000_000
HUMAN: Final = Decimal(5)
"""What a conversation with a human costs."""

OF_TURNS: Final[Mapping[str, Callable[[Turn], object]]] = {
    "agent": lambda turn: turn.text(sc.AGENT_NAME),
    "agent_version": lambda turn: turn.text(sc.AGENT_VERSION),
    "channel": lambda turn: turn.text(sc.CHANNEL),
    "environment": lambda turn: turn.environment,
    "intent": lambda turn: turn.text(sc.INTENT_NAME),
    "message_type": lambda turn: turn.text(sc.MESSAGE_TYPE),
    "model": lambda turn: turn.model,
    "prompt": lambda turn: turn.text(sc.PROMPT_NAME),
    "prompt_version": lambda turn: turn.text(sc.PROMPT_VERSION),
    "user_type": lambda turn: turn.text(sc.USER_TYPE),
    "variant": lambda turn: turn.text(sc.VARIANT),
}
WHERES: Final[Mapping[str, Callable[[Conversation, Turn, Sequence[Turn]], bool]]] = {
    "(channel = web or intent = order) and not outcome = abandoned": lambda one, turn, _: (
        (turn.text(sc.CHANNEL) == "web" or turn.text(sc.INTENT_NAME) == "order")
        and one.outcome != "abandoned"
    ),
    "handoff or agent = support": lambda one, turn, _: (
        one.handed_off or turn.text(sc.AGENT_NAME) == "support"
    ),
    "not (intent = refund or message_type = voice)": lambda _one, _turn, asked: (
        not any(
            one.text(sc.INTENT_NAME) == "refund" or one.text(sc.MESSAGE_TYPE) == "voice"
            for one in asked
        )
    ),
    "confidence >= 0.7 and (state = open or model in (small, large))": lambda one, turn, _: (
        turn.confidence is not None
        and turn.confidence >= 0.7
        and (not one.settled or turn.model in {"small", "large"})
    ),
}
"""Conditions that nest, and whether a turn of a conversation fulfils them; the turns at the end are
those that what must not be is asked of."""
OF_CONVERSATIONS: Final[Mapping[str, Callable[[Conversation], object]]] = {
    "outcome": lambda one: one.outcome,
    "state": lambda one: "settled" if one.settled else "open",
    "handoff": lambda one: one.handed_off,
}


def ratio(part: float | Decimal, whole: float) -> float | None:
    """Null over nothing."""
    return float(part) / whole if whole else None


def mean(values: Sequence[float]) -> float | None:
    """Null over nothing."""
    return ratio(sum(values), len(values))


@dataclass(frozen=True)
class Question:
    """What is asked.

    Args:
        start: The first nanosecond of the window.
        end: The first one after it.
        filters: What it is limited to, all of them.
        by: Whether conversations started in the window, or were active in it.
    """

    start: int
    end: int
    filters: Mapping[str, object] = field(default_factory=dict)
    by: str = "started"

    def within(self, time: int) -> bool:
        """Whether a time lies in the window."""
        return self.start <= time < self.end

    def takes(self, one: Conversation, turn: Turn, *, whole: bool = False) -> bool:
        """Whether a turn of a conversation matches all conditions of turns.

        Args:
            one: The conversation.
            turn: The turn.
            whole: Whether conversations are asked for.
        """
        where = str(self.filters.get("where", ""))
        if where and not WHERES[where](one, turn, one.turns if whole else [turn]):
            return False
        for name, wanted in self.filters.items():
            if name == "confidence_min":
                if turn.confidence is None or turn.confidence < float(str(wanted)):
                    return False
            elif name in OF_TURNS and OF_TURNS[name](turn) != wanted:
                return False
        return True

    def agrees(self, one: Conversation) -> bool:
        """Whether a conversation matches all conditions of whole conversations."""
        wanted = ((name, value) for name, value in self.filters.items() if name in OF_CONVERSATIONS)
        return all(OF_CONVERSATIONS[name](one) == value for name, value in wanted)

    def lets_through(self, one: Conversation) -> bool:
        """Whether a conversation matches, whenever it started."""
        return self.agrees(one) and any(self.takes(one, turn, whole=True) for turn in one.turns)

    def owns(self, one: Conversation) -> bool:
        """Whether a conversation that matches belongs to the window."""
        if self.by == "active":
            return any(
                self.within(turn.start) and self.takes(one, turn, whole=True) for turn in one.turns
            )
        return self.within(one.started)


class Figures:
    """Every figure of a question.

    Args:
        question: What is asked.
        everything: All conversations that the asker may see.
    """

    def __init__(self, question: Question, everything: Sequence[Conversation]) -> None:
        self.question = question
        self.everything = everything
        self.matching = [one for one in everything if question.lets_through(one)]
        self.whole = [one for one in self.matching if question.owns(one)]
        self.settled_ones = [one for one in self.whole if one.settled]
        self.taken = [
            turn
            for one in everything
            for turn in one.turns
            if question.within(turn.start) and question.agrees(one) and question.takes(one, turn)
        ]

    def of(self, **filters: object) -> Figures:
        """The same of what else matches these."""
        question = replace(self.question, filters={**self.question.filters, **filters})
        return Figures(question, self.everything)

    def _count(self, condition: Callable[[Conversation], bool]) -> int:
        return sum(map(condition, self.whole))

    # Conversations

    @property
    def conversations(self) -> int:
        return len(self.whole)

    @property
    def settled(self) -> int:
        return len(self.settled_ones)

    @property
    def open(self) -> int:
        return self.conversations - self.settled

    @cached_property
    def outcomes(self) -> dict[str, int]:
        found = Counter(one.outcome for one in self.whole)
        return {outcome: found[outcome] for outcome in sc.OUTCOMES}

    @property
    def confirmed(self) -> int:
        return self._count(lambda one: one.confirmed)

    @property
    def assumed(self) -> int:
        return self.outcomes["resolved"] - self.confirmed

    @property
    def resolution_low(self) -> float | None:
        return ratio(self.confirmed, self.settled)

    @property
    def resolution_high(self) -> float | None:
        return ratio(self.outcomes["resolved"], self.settled)

    @property
    def abandonment(self) -> float | None:
        return ratio(self.outcomes["abandoned"], self.settled)

    @property
    def contained(self) -> int:
        return self._count(lambda one: one.contained)

    @property
    def containment(self) -> float | None:
        return ratio(self.contained, self.settled)

    @property
    def handed_off(self) -> int:
        return self._count(lambda one: one.settled and one.handed_off)

    @property
    def handoff_rate(self) -> float | None:
        return ratio(self.handed_off, self.settled)

    @property
    def handoffs(self) -> int:
        return sum(one.handoffs for one in self.settled_ones)

    @property
    def incomplete(self) -> int:
        return self._count(lambda one: one.incomplete)

    @property
    def engagement(self) -> float | None:
        return mean([one.engagement for one in self.whole])

    @property
    def mean_turns(self) -> float | None:
        return mean([len(one.turns) for one in self.settled_ones])

    @property
    def mean_messages(self) -> float | None:
        return mean([one.all_messages for one in self.settled_ones])

    @property
    def mean_duration(self) -> float | None:
        return mean([one.seconds for one in self.settled_ones])

    # Money

    @property
    def cost(self) -> Decimal | None:
        return cost(self.taken)

    @property
    def priced(self) -> int:
        return sum(turn.cost is not None for turn in self.taken)

    @property
    def unpriced(self) -> int:
        return sum(turn.unpriced for turn in self.taken)

    @property
    def settled_cost(self) -> Decimal | None:
        return cost(turn for one in self.settled_ones for turn in one.turns)

    @property
    def cost_per_conversation(self) -> Decimal | None:
        if self.settled_cost is None:
            return None
        return (self.settled_cost / self.settled).quantize(BILLIONTH, ROUND_HALF_EVEN)

    def _saved(self, many: int) -> Decimal | None:
        spent = self.settled_cost or Decimal(0)
        return many * HUMAN - spent if self.settled else None

    @property
    def savings_low(self) -> Decimal | None:
        return self._saved(self._count(lambda one: one.confirmed and one.contained))

    @property
    def savings_high(self) -> Decimal | None:
        return self._saved(self._count(lambda one: one.outcome == "resolved" and one.contained))

    @property
    def savings_gross(self) -> Decimal | None:
        return self.contained * HUMAN if self.settled else None

    # Turns

    @property
    def turns(self) -> int:
        return len(self.taken)

    @cached_property
    def messages_by_sender(self) -> dict[str, int]:
        between = Counter(
            event.text(sc.MESSAGE_SENDER)
            for one in self.matching
            for event in one.named(sc.EVENT_MESSAGE)
            if self.question.within(event.time)
        )
        return {sender: between[sender] + sides(self.taken, sender) for sender in sc.SENDERS}

    @property
    def messages(self) -> int:
        return sum(self.messages_by_sender.values())

    @cached_property
    def response_times(self) -> list[float]:
        return sorted(turn.seconds for turn in self.taken if turn.answered)

    @property
    def response_time(self) -> float | None:
        return mean(self.response_times)

    @property
    def responses(self) -> int:
        return len(self.response_times)

    @cached_property
    def first_chunks(self) -> list[float]:
        return sorted(t.first_chunk for t in self.taken if t.first_chunk is not None)

    @property
    def first_chunk(self) -> float | None:
        return mean(self.first_chunks)

    def _tokens(self, side: int) -> int | None:
        known = [n for turn in self.taken if (n := turn.tokens[side]) is not None]
        return sum(known) if known else None

    @property
    def input_tokens(self) -> int | None:
        return self._tokens(0)

    @property
    def output_tokens(self) -> int | None:
        return self._tokens(1)

    @property
    def total_tokens(self) -> int | None:
        known = [side for side in (self.input_tokens, self.output_tokens) if side is not None]
        return sum(known) if known else None

    @property
    def token_turns(self) -> int:
        return sum(turn.tokens != (None, None) for turn in self.taken)

    @property
    def errors(self) -> int:
        return sum(turn.status == sc.STATUS_ERROR for turn in self.taken)

    @property
    def error_rate(self) -> float | None:
        return ratio(self.errors, self.turns)

    @property
    def cancelled(self) -> int:
        return sum(turn.status == sc.STATUS_CANCELLED for turn in self.taken)

    @property
    def without_reply(self) -> int:
        return sum(turn.without_reply for turn in self.taken)

    @property
    def handoff_turns(self) -> int:
        return sum(turn.handoff for turn in self.taken)

    @cached_property
    def confidences(self) -> list[float]:
        return [turn.confidence for turn in self.taken if turn.confidence is not None]

    @property
    def confidence(self) -> float | None:
        return mean(self.confidences)

    @property
    def confidence_turns(self) -> int:
        return len(self.confidences)

    @property
    def low_confidence(self) -> int:
        return sum(turn.unsure for turn in self.taken)

    @property
    def high_confidence(self) -> int:
        return self.confidence_turns - self.low_confidence

    @property
    def low_confidence_rate(self) -> float | None:
        return ratio(self.low_confidence, self.confidence_turns)

    @cached_property
    def annotations(self) -> list[tuple[Turn, str]]:
        """What annotations say of the turns, whenever they say it."""
        turns = {(turn.tenant, turn.trace, turn.span): turn for turn in self.taken}
        return [
            (turns[named], event.text(sc.INTENT_NAME))
            for one in self.everything
            for event in one.named(sc.EVENT_INTENT)
            if (named := (event.tenant, event.trace, event.span)) in turns
        ]

    @property
    def classified(self) -> int:
        annotated = {turn.order for turn, _ in self.annotations}
        return sum(
            sc.FALLBACK in turn.told or sc.INTENT_NAME in turn.told or turn.order in annotated
            for turn in self.taken
        )

    @property
    def fallbacks(self) -> int:
        return sum(turn.fallback for turn in self.taken)

    @property
    def fallback_rate(self) -> float | None:
        return ratio(self.fallbacks, self.classified)

    # What users think

    @cached_property
    def ratings_given(self) -> list[Event]:
        """Under a filter, a rating of a turn counts if that turn matches."""
        found = []
        for one in self.whole:
            turns = {turn.trace: turn for turn in one.turns}
            for rating in one.ratings:
                turn = turns.get(rating.trace) if rating.trace else None
                if turn is None or self.question.takes(one, turn):
                    found.append(rating)
        return found

    @property
    def ratings(self) -> int:
        return len(self.ratings_given)

    @property
    def csat(self) -> float | None:
        return ratio(sum(one.box == "top" for one in self.ratings_given), self.ratings)

    @property
    def positive(self) -> int:
        return sum(one.box == "top" for one in self.ratings_given)

    @property
    def negative(self) -> int:
        return sum(one.box == "bottom" for one in self.ratings_given)

    @property
    def mean_score(self) -> float | None:
        return mean([one.score or 0.0 for one in self.ratings_given])

    @property
    def original_mean(self) -> float | None:
        scales = {one.scale for one in self.ratings_given}
        return mean([one.value for one in self.ratings_given]) if len(scales) == 1 else None

    @property
    def rated(self) -> int:
        """Settled conversations with a rating that counts here."""
        counted = {id(one) for one in self.ratings_given}
        return sum(any(id(r) in counted for r in one.ratings) for one in self.settled_ones)

    # Where conversations end

    @property
    def dropped(self) -> int:
        return self._count(lambda one: one.dropped)

    @property
    def dropped_by_intent(self) -> Counter[str | None]:
        return Counter(one.last_intent or None for one in self.whole if one.dropped)

    @property
    def dropped_by_step(self) -> Counter[tuple[str, str]]:
        return Counter(one.stood for one in self.whole if one.dropped and one.stood)

    @property
    def workflows(self) -> dict[str, tuple[int, int, int, int, int, int]]:
        """Conversations, started, completed, failed, left open and running, by workflow."""
        found: dict[str, list[int]] = defaultdict(lambda: [0] * 6)
        for one in self.whole:
            for run in one.workflows:
                completed = run.count(sc.EVENT_WORKFLOW_COMPLETED)
                failed = run.count(sc.EVENT_WORKFLOW_FAILED)
                left = run.unended * one.settled
                parts = (1, run.started, completed, failed, left, run.unended - left)
                found[run.name] = [a + b for a, b in zip(found[run.name], parts, strict=True)]
        return {name: tuple(parts) for name, parts in found.items()}  # type: ignore[misc]

    @property
    def topics(self) -> Counter[str]:
        """Conversations by topic."""
        return self._naming(sc.EVENT_TOPIC, sc.TOPIC_NAME)

    @property
    def leads(self) -> int:
        return sum(len(one.named(sc.EVENT_LEAD)) for one in self.whole)

    @property
    def converted(self) -> int:
        return self._count(lambda one: bool(one.named(sc.EVENT_LEAD)))

    @property
    def conversion(self) -> float | None:
        return ratio(self.converted, self.conversations)

    @property
    def lead_kinds(self) -> Counter[str]:
        """Conversations by kind of lead."""
        return self._naming(sc.EVENT_LEAD, sc.LEAD_KIND)

    def _naming(self, event: str, attribute: str) -> Counter[str]:
        return Counter(
            name
            for one in self.whole
            for name in {found.text(attribute) for found in one.named(event)}
        )

    @property
    def intents(self) -> dict[str, tuple[int, int]]:
        """Turns and annotations by intent."""
        turns = Counter(i for turn in self.taken if (i := turn.text(sc.INTENT_NAME)))
        told = Counter(name for _, name in self.annotations)
        return {name: (turns[name], told[name]) for name in {*turns, *told}}

    @property
    def intent_paths(self) -> Counter[tuple[str, ...]]:
        """Conversations by the intents of their turns, in order, each repetition once."""
        found: Counter[tuple[str, ...]] = Counter()
        for one in self.whole:
            path: list[str] = []
            for turn in one.turns:
                intent = turn.text(sc.INTENT_NAME)
                if intent and path[-1:] != [intent]:
                    path.append(intent)
            if path:
                found[tuple(path)] += 1
        return found

    # Users

    @property
    def _by_user(self) -> Counter[tuple[str, str]]:
        return Counter((one.tenant, user) for one in self.whole for user in one.users)

    @property
    def users(self) -> int:
        return len(self._by_user)

    @property
    def repeating(self) -> int:
        return sum(count > 1 for count in self._by_user.values())

    @property
    def returning(self) -> int:
        """Users of the window of the same length before who are there in this one too."""
        start, end = self.question.start, self.question.end
        before = Figures(replace(self.question, start=2 * start - end, end=start), self.everything)
        return len(self._by_user.keys() & before._by_user.keys())

    def came_back(self, hours: int) -> tuple[int, int, int]:
        """Settled conversations with a user, those observed, and those whose user came back.

        Args:
            hours: How long after a conversation beginning another one counts.
        """
        with_user = [one for one in self.settled_ones if one.users]
        observed = [one for one in with_user if one.active_until + hours * HOUR <= one.now]
        back = [
            one
            for one in observed
            if any(
                other.tenant == one.tenant
                and other.users & one.users
                and one.started < other.started <= one.active_until + hours * HOUR
                for other in self.everything
            )
        ]
        return (len(with_user), len(observed), len(back))


def quantile_bounds(values: Sequence[float], level: float) -> tuple[float, float]:
    """Between which two values, in order, a quantile lies."""
    rank = level * (len(values) - 1)
    low = int(rank + 1e-9)
    return (values[low], values[min(low + (rank - low > 1e-9), len(values) - 1)])


def figures_of(question: Question, everything: Iterable[Conversation]) -> Figures:
    """All figures of a question."""
    return Figures(question, list(everything))
