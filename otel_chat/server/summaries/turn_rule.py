"""Which spans of a trace are turns, where none was marked as one: the rule for other libraries.

In this order: a framework's own span of a turn; the outermost agent or workflow that carries a
conversation's id, itself, by an ancestor, or by descendants that all agree; else the model calls
of one conversation beneath one server or consumer span, or one root, together. What hangs above,
and in which order the spans came, does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from otel_chat import _dialects as dialects
from otel_chat import semconv as sc
from otel_chat._usage import TURN_KEYS, Children, Usage, total

OWN_SCOPE: Final = "otel_chat"
CONTAINERS: Final = ("server", "consumer")
NO_CONVERSATION: Final = "no conversation id"
SEVERAL_CONVERSATIONS: Final = "several conversations"
OUTSIDE: Final = "outside of any turn"
_SPAN_NAMES: Final = ("invoke_agent ", "invoke_workflow ")
_FROM_ABOVE: Final = (
    *(sc.HTTP_ROUTE, sc.HTTP_STATUS_CODE, sc.USER_AGENT, sc.CHANNEL, sc.PLATFORM, sc.LOCATION),
    *(sc.USER_TYPE, sc.USER_HASH, sc.VARIANT, sc.PAGE, sc.REFERRER),
)


@dataclass(slots=True, eq=False)
class Span:
    """A span of a trace that has no marked turn.

    Args:
        span_id: 16 hexadecimal digits.
        parent_id: The same of its parent; empty for a root.
        name: Its name.
        kind: As OpenTelemetry has it, in small letters.
        start: Nanoseconds.
        end: Nanoseconds.
        failed: Whether its status is an error.
        error_type: What the error is called; may be empty.
        scope: The instrumentation that sent it.
        attributes: Its attributes as text.
    """

    span_id: str
    parent_id: str
    name: str
    kind: str
    start: int
    end: int
    failed: bool
    error_type: str
    scope: str
    attributes: Mapping[str, str]
    role: dialects.Kind = "other"
    parent: Span | None = None
    children: list[Span] = field(default_factory=list)
    conversation: str = ""
    container: str = ""
    in_call: bool = False
    holds_turn: bool = False
    beneath_it: frozenset[str] = frozenset()

    @property
    def place(self) -> tuple[int, str]:
        """Where it stands among others: by time."""
        return self.start, self.span_id

    def above(self) -> Iterator[Span]:
        """Its ancestors, the nearest first."""
        span = self.parent
        while span is not None:
            yield span
            span = span.parent

    def beneath(self) -> Iterator[Span]:
        """It and its descendants, each before those beneath it."""
        waiting = [self]
        while waiting:
            span = waiting.pop()
            yield span
            waiting += reversed(span.children)


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that was found.

    Args:
        conversation: The conversation's id.
        tops: Its span, or the model calls that make it up, by time.
    """

    conversation: str
    tops: tuple[Span, ...]

    @property
    def spans(self) -> list[Span]:
        """All spans of it."""
        return [span for top in self.tops for span in top.beneath()]


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a trace.

    Args:
        turns: Its turns, by time.
        left: How many spans of agents and models are part of none, by reason and instrumentation.
    """

    turns: tuple[Turn, ...]
    left: Mapping[tuple[str, str], int]


def find(spans: Iterable[Span]) -> Found:
    """The turns of a trace, and what became none.

    Args:
        spans: All spans of it that are there.
    """
    every = sorted(spans, key=lambda span: span.place)
    roots = _grow(every)
    turns: list[Turn] = []
    for root in roots:
        turns += _within(root)
    taken = {span.span_id for turn in turns for span in turn.spans}
    turns += _of_calls(span for span in every if span.span_id not in taken)
    taken = {span.span_id for turn in turns for span in turn.spans}
    left: dict[tuple[str, str], int] = defaultdict(int)
    for span in every:
        if span.span_id not in taken and span.role != "other":
            left[_reason(span), span.scope] += 1
    return Found(tuple(sorted(turns, key=lambda turn: turn.tops[0].place)), dict(left))


def _grow(every: list[Span]) -> list[Span]:
    """Hangs each span beneath its parent; returns those that have none. A ring is cut open."""
    known = {span.span_id: span for span in every}
    for span in every:
        span.role = dialects.kind(span.name, span.attributes)
        span.conversation = dialects.text(span.attributes, dialects.CONVERSATION_IDS)
        span.parent = known.get(span.parent_id)
    walked: dict[str, int] = {}
    for number, begin in enumerate(every):
        span = begin
        while span.parent is not None and span.span_id not in walked:
            walked[span.span_id] = number
            if walked.get(span.parent.span_id) == number:
                span.parent = None
            else:
                span = span.parent
    for span in every:
        if span.parent is not None:
            span.parent.children.append(span)
    roots = [span for span in every if span.parent is None]
    for root in roots:
        _tell(root)
    return roots


def _tell(root: Span) -> None:
    """Tells each span what it hangs beneath, and what hangs beneath it."""
    order = list(root.beneath())
    for span in order:
        above = span.parent
        if above is None:
            # Calls whose parent is not there hang together beneath it all the same.
            span.container = span.parent_id or span.span_id
        else:
            span.in_call = above.in_call or above.role == "chat"
            span.container = above.span_id if above.kind in CONTAINERS else above.container
    for span in reversed(order):
        span.holds_turn = span.role == "turn" or any(one.holds_turn for one in span.children)
        own = {span.conversation} if span.conversation else set()
        # Two tell as much as two thousand: they do not agree.
        held = own.union(*(one.beneath_it for one in span.children))
        span.beneath_it = frozenset(sorted(held)[:2])
    for span in order:
        if not span.conversation and span.parent is not None:
            span.conversation = span.parent.conversation


def _conversation_of(span: Span) -> str:
    """The conversation that a span is of: its own, that of an ancestor, or of all beneath it."""
    return span.conversation or ("".join(span.beneath_it) if len(span.beneath_it) == 1 else "")


def _within(root: Span) -> Iterator[Turn]:
    """The frameworks' turns, and the outermost agents and workflows, beneath a root."""
    waiting = [root]
    while waiting:
        span = waiting.pop()
        agent = span.role in ("agent", "workflow") and not span.holds_turn
        if (agent or span.role == "turn") and (conversation := _conversation_of(span)):
            yield Turn(conversation, (span,))
        else:
            waiting += span.children


def _of_calls(spans: Iterable[Span]) -> Iterator[Turn]:
    """The model calls that hang beneath no agent, together where one request made them."""
    calls: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for span in spans:
        # A call of our own is part of a marked turn, which comes when it is over.
        early = span.scope == OWN_SCOPE and span.parent is None and span.parent_id
        conversation = "" if early or span.in_call else _conversation_of(span)
        if span.role == "chat" and conversation:
            calls[span.container, conversation].append(span)
    for (_, conversation), tops in calls.items():
        yield Turn(conversation, tuple(sorted(tops, key=lambda span: span.place)))


def _reason(span: Span) -> str:
    if _conversation_of(span):
        return OUTSIDE
    return SEVERAL_CONVERSATIONS if span.beneath_it else NO_CONVERSATION


def attributes(turn: Turn, used: Sequence[Usage]) -> dict[str, str]:
    """What a turn is told by, under the names of `semconv`: its own words, else its children's.

    Args:
        turn: The turn.
        used: What its model calls used, as `calls` says.
    """
    top, last = turn.tops[0], turn.tops[-1]
    spans = turn.spans
    calls = _outer_calls(spans)
    told: dict[str, str] = dict(top.attributes) if len(turn.tops) == 1 else {}
    for name in _FROM_ABOVE:
        told.setdefault(name, next(filter(None, (o.attributes.get(name) for o in top.above())), ""))
    told |= _usage(used)
    within = sorted((o for o in spans if o.role == "chat" and o.in_call), key=lambda o: o.place)
    asked = [top, *calls, *within]  # what the outer of two does not tell, the inner one may
    # Name and version of one and the same
    prompted = [span for span in asked if _first([span], dialects.PROMPTS)][:1]
    answered = [last, *reversed(calls), *reversed(within)]
    named = {
        sc.AGENT_NAME: _agent(turn, spans),
        sc.REQUEST_MODEL: _first(asked, dialects.REQUEST_MODELS),
        sc.RESPONSE_MODEL: _first(answered, dialects.RESPONSE_MODELS),
        # An agent may name its framework.
        sc.PROVIDER_NAME: _first([*calls, *within, top], dialects.PROVIDERS),
        sc.PROMPT_NAME: _first(prompted, dialects.PROMPTS),
        sc.PROMPT_VERSION: _first(prompted, dialects.PROMPT_VERSIONS),
        sc.INPUT_MESSAGES: next(filter(None, map(_input, asked)), ""),
        sc.OUTPUT_MESSAGES: next(filter(None, map(_output, _plain_last(answered))), ""),
        sc.ERROR_TYPE: last.error_type,
        sc.TIME_TO_FIRST_CHUNK: _first_chunk(top, calls),
    }
    told |= named
    told[sc.CONVERSATION_ID] = turn.conversation
    told[sc.STATUS] = sc.STATUS_ERROR if last.failed else sc.STATUS_OK
    return {name: value for name, value in told.items() if value}


def _outer_calls(spans: list[Span]) -> list[Span]:
    calls = [span for span in spans if span.role == "chat"]
    return sorted((span for span in calls if not span.in_call), key=lambda span: span.place)


def calls(turn: Turn) -> list[Usage]:
    """What each model call of a turn used, with the model that it was of.

    Args:
        turn: The turn.
    """
    spans = turn.spans
    children = Children()
    inside = {span.span_id for span in spans}
    for span in spans:
        parent = span.parent.span_id if span.parent is not None else None
        children.started(_number(span), int(parent, 16) if parent in inside else None)
        usage = dialects.usage(span.attributes)
        if usage and dialects.counts(span.role, span.attributes):
            if usage.model is None:  # an agent's sum: its calls say of which model
                made = _outer_calls(list(span.beneath()))
                models = (*dialects.RESPONSE_MODELS, *dialects.REQUEST_MODELS)
                usage.model = _first(made, models) or None
                usage.provider = usage.provider or _first(made, dialects.PROVIDERS) or None
            children.used(_number(span), usage)
    return children.calls()


def _usage(calls: Sequence[Usage]) -> dict[str, str]:
    told = {key: str(value) for key, value in total(calls).attributes(TURN_KEYS).items()}
    costs = [usage.cost for usage in calls]
    if costs and None not in costs:
        told[sc.COST_AMOUNT] = f"{sum(filter(None, costs)):.9f}"
        told[sc.COST_SOURCE] = "provider"
    elif told:
        told[sc.COST_SOURCE] = "unpriced"
    return told


def _number(span: Span) -> int:
    return int(span.span_id, 16)


def _first(spans: Iterable[Span], names: tuple[str, ...]) -> str:
    return next(filter(None, (dialects.text(one.attributes, names) for one in spans)), "")


def _input(span: Span) -> str:
    return dialects.input_messages(span.attributes)


def _output(span: Span) -> str:
    return dialects.output_messages(span.attributes)


def _plain_last(answered: list[Span]) -> list[Span]:
    """The same with a turn's own span behind its calls, where its answer may be no text."""
    last, *calls = answered
    plain = calls and last.role != "chat" and dialects.is_plain(last.attributes)
    return [*calls, last] if plain else answered


def _agent(turn: Turn, spans: list[Span]) -> str:
    top = turn.tops[0]
    around = [*spans, *top.above()]
    if name := dialects.agent(top.attributes):
        return name
    if top.role == "agent":
        for prefix in _SPAN_NAMES:
            if top.name.startswith(prefix):
                return top.name.removeprefix(prefix)
    agents = [one for one in around if one.role in ("agent", "turn", "workflow")]
    named = (dialects.agent(one.attributes) for one in (*agents, *around))
    return next(filter(None, named), "")


def _first_chunk(top: Span, calls: list[Span]) -> str:
    own = dialects.first_chunk(top.attributes)
    if own is None:
        found = [
            (call.start - top.start) / 1e9 + seconds
            for call in calls
            if (seconds := dialects.first_chunk(call.attributes)) is not None
        ]
        own = min(found, default=None)
    return "" if own is None else repr(own)
