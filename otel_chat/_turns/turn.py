"""A turn as the handler sees it: what can be reported of it, and how to get at it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Concatenate, Final, ParamSpec, Protocol, Unpack

from opentelemetry import context as otel_context
from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._common import checks
from otel_chat._common.checks import count, flag, is_a, number, one_of, text, written
from otel_chat._telemetry.runtime import Runtime, current, of_signature, report_error
from otel_chat._turns.fields import TurnFields, span_attributes
from otel_chat._turns.finish.events import emit_event
from otel_chat._turns.finish.intents import event_attributes
from otel_chat._turns.lifecycle import TURN_KEY, Lifecycle, conversation_id_of
from otel_chat._turns.model_results import SILENT, Chunks, text_from
from otel_chat._turns.request_context import current_request
from otel_chat._turns.state import Intent, TurnState
from otel_chat._usage import Usage
from otel_chat.errors import ArgumentTypeError
from otel_chat.extract import Sender, Texts

P = ParamSpec("P")

CONVERSATION_KEY: Final = otel_context.create_key("otel_chat.conversation")
DEFAULT_AGENT: Final = "chat"


class Known(Protocol):
    """What a turn takes over from the conversation around it."""

    agent: str | None
    attributes: dict[str, AnyValue]


def _guarded(
    method: Callable[Concatenate[Turn, P], None],
) -> Callable[Concatenate[Turn, P], None]:
    """Outside a turn: counted, nothing else. Inside: an error of ours stays ours."""
    component = f"turn.{method.__name__}"

    @functools.wraps(method)
    def call(self: Turn, /, *args: P.args, **kwargs: P.kwargs) -> None:
        if not self.is_live:
            current().dropped(sc.SIGNAL_OUTSIDE_TURN)
            return
        try:
            method(self, *args, **kwargs)
        except TypeError as error:
            report_error(component, of_signature(method, (self, *args), kwargs) or error)
        except Exception as error:  # noqa: BLE001 - never in the handler's way
            report_error(component, error)

    return call


class Turn(Lifecycle):
    """One user message and the reply to it.

    `current_turn()` gives it inside a handler. No method raises and none returns anything; outside
    a turn each call does nothing and is counted.

    Example:
        >>> from otel_chat import turn
        >>> with turn(agent="support", conversation_id="c-1") as now:
        ...     now.intent("order_status", 0.93)
        ...     now.usage(input_tokens=120, output_tokens=40)
        >>> now.conversation_id
        'c-1'
    """

    __slots__ = ()

    @_guarded
    def intent(
        self,
        name: str | None,
        confidence: float | None = None,
        *,
        fallback: bool | None = None,
        success: bool | None = None,
        source: str = "classifier",
        data: object = None,
    ) -> None:
        """Reports a recognised intent; the turn takes the surest.

        Args:
            name: The intent; None where none matched, which is a fallback.
            confidence: 0 to 1.
            fallback: Whether no intent matched, where the name does not say so.
            success: Whether the intent was fulfilled, where that is known.
            source: `classifier`, or `annotation` for what a person or a data set says.
            data: Anything JSON can hold.
        """
        intent = self._intent(name, confidence, fallback, source)
        attributes = event_attributes(intent)
        if success is not None:
            attributes[sc.INTENT_SUCCESS] = flag(success, "success")
        self.state.intents.append(intent)
        self.emit(sc.EVENT_INTENT, attributes, data)

    def intent_at(
        self,
        when: tuple[int, str | None],
        found: tuple[str | None, float | None, bool],
        source: str,
        data: object,
    ) -> None:
        """Notes an intent that was found later, in the delivery thread; `event_stamp` says when."""
        intent = self._intent(*found, source)
        self.state.intents.append(intent)
        attributes = event_attributes(intent)
        emit_event(self.state, self._runtime, sc.EVENT_INTENT, attributes, data, *when)

    def _intent(
        self,
        name: str | None,
        confidence: float | None,
        fallback: bool | None,  # noqa: FBT001 - as it is reported
        source: str,
    ) -> Intent:
        sure = None if confidence is None else number(confidence, "confidence", 0, 1)
        one_of(source, "source", sc.SOURCES)
        clean = None if name is None else self._runtime.name(name)
        missed = clean is None if fallback is None else flag(fallback, "fallback")
        return Intent(clean, sure, missed, source)

    @_guarded
    def confidence(self, value: float) -> None:
        """Reports how sure the reply is, 0 to 1; wins over the intents'."""
        self.state.confidence = number(value, "confidence", 0, 1)

    @_guarded
    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        cost: float | Decimal | None = None,
    ) -> None:
        """Reports tokens and, where the provider says it, the cost; several calls add up.

        What is reported here wins over what the model calls inside the turn say.

        Args:
            input_tokens: All input tokens, cached ones included.
            output_tokens: All output tokens, reasoning included.
            cache_read_tokens: Those of the input read from the provider's cache.
            reasoning_tokens: Those of the output spent on reasoning.
            cost: US dollars.
        """
        given = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cache_read_tokens": cache_read_tokens,
            "reasoning_tokens": reasoning_tokens,
        }
        more = Usage.of(given)
        dollars = None if cost is None else number(cost, "cost", 0)
        state = self.state
        if state.reported_usage is None:
            state.reported_usage = more
        else:
            state.reported_usage.add(more)
        if dollars is not None:
            state.cost = (state.cost or 0.0) + dollars

    @_guarded
    def model(
        self, name: str, *, provider: str | None = None, response_model: str | None = None
    ) -> None:
        """Names the model asked, who runs it, and the one that answered."""
        clean = self._runtime.name
        self.state.attributes[sc.REQUEST_MODEL] = clean(name)
        if provider is not None:
            self.state.attributes[sc.PROVIDER_NAME] = clean(provider, "provider")
        if response_model is not None:
            self.state.attributes[sc.RESPONSE_MODEL] = clean(response_model, "response_model")

    @_guarded
    def handoff(self, reason: str, *, target: str | None = None) -> None:
        """Reports that a human is asked to take over.

        Args:
            reason: Why, as one of few words: `low_confidence`, `user_request`, ...
            target: The queue or team asked.
        """
        attributes: dict[str, AnyValue] = {sc.HANDOFF_REASON: self._runtime.name(reason, "reason")}
        if target is not None:
            attributes[sc.HANDOFF_TARGET] = self._runtime.name(target, "target")
        state: TurnState | None = self.state
        while state is not None:
            state.attributes.update({sc.HANDOFF_TRIGGERED: True, **attributes})
            state = state.outer
        self._count(sc.METRIC_HANDOFFS, attributes)
        self.emit(sc.EVENT_HANDOFF_REQUESTED, attributes)

    @_guarded
    def topic(self, name: str) -> None:
        """Reports what the turn is about."""
        self.emit(sc.EVENT_TOPIC, {sc.TOPIC_NAME: self._runtime.name(name)})

    @_guarded
    def action(self, type: str, data: object = None) -> None:  # noqa: A002 - the field's word
        """Reports something done for the user: an order changed, a ticket made."""
        attributes = {sc.ACTION_TYPE: self._runtime.name(type, "type")}
        self._count(sc.METRIC_ACTIONS, attributes)
        self.emit(sc.EVENT_ACTION, attributes, data)

    @_guarded
    def entity(
        self,
        type: str,  # noqa: A002 - the field's word
        value: object = None,
        confidence: float | None = None,
    ) -> None:
        """Reports something found in the message; its value is content."""
        attributes: dict[str, AnyValue] = {sc.ENTITY_TYPE: self._runtime.name(type, "type")}
        if value is not None and self.captures_content:
            attributes[sc.ENTITY_VALUE] = written(value)
        if confidence is not None:
            attributes[sc.CONFIDENCE] = number(confidence, "confidence", 0, 1)
        self.emit(sc.EVENT_ENTITY, attributes)

    @_guarded
    def sentiment(self, label: str) -> None:
        """Reports the user's mood: positive, neutral or negative."""
        self.state.attributes[sc.SENTIMENT] = one_of(label, "sentiment", sc.SENTIMENTS)

    @_guarded
    def cached(self, flag: bool = True) -> None:  # noqa: FBT001, FBT002 - reads as a statement
        """Reports that the reply came from a cache."""
        self.state.attributes[sc.CACHED] = checks.flag(flag, "flag")

    @_guarded
    def context_size(self, tokens: int) -> None:
        """Reports how many tokens of context the model was given."""
        self.state.attributes[sc.CONTEXT_SIZE] = count(tokens, "context_size")

    @_guarded
    def message_type(self, kind: str) -> None:
        """Reports the kind of the user's message: text, voice, image, button."""
        self.state.attributes[sc.MESSAGE_TYPE] = self._runtime.name(kind, "kind")

    @_guarded
    def metadata(self, mapping: Mapping[str, object]) -> None:
        """Adds data of the caller's own, anything JSON can hold; redacted, then kept whole."""
        if not is_a(mapping, Mapping):
            raise ArgumentTypeError("mapping", "a mapping", mapping)
        # Only a dict is copied in no time; another is read later, in bounded time
        self.state.metadata.append(dict(mapping) if type(mapping) is dict else mapping)

    @_guarded
    def fields(self, **fields: Unpack[TurnFields]) -> None:
        """Sets fields that were not known at the start: channel, user_type, page, ..."""
        self.state.attributes.update(span_attributes(self._runtime, fields))

    @_guarded
    def api_call(self, name: str, *, duration: float, status: str | int) -> None:
        """Reports a call to another service; the duration in seconds."""
        attributes: dict[str, AnyValue] = {
            sc.API_NAME: self._runtime.name(name),
            sc.API_DURATION: number(duration, "duration", 0),
            sc.API_STATUS: self._runtime.name(status, "status"),
        }
        self.emit(sc.EVENT_API_CALL, attributes)

    @_guarded
    def lead(self, kind: str, data: object = None) -> None:
        """Reports a lead: a demo asked for, an address left."""
        self.emit(sc.EVENT_LEAD, {sc.LEAD_KIND: self._runtime.name(kind, "kind")}, data)

    @_guarded
    def event(self, name: str, data: object = None) -> None:
        """Reports an event of the caller's own."""
        self.emit(sc.EVENT_CUSTOM, {sc.EVENT_CUSTOM_NAME: self._runtime.name(name)}, data)

    @_guarded
    def workflow(self, name: str, status: str, step: str | None = None) -> None:
        """Reports that a workflow started, completed or failed, and at which step."""
        one_of(status, "status", sc.WORKFLOW_STATUSES)
        attributes = {sc.WORKFLOW_NAME: self._runtime.name(name)}
        self._count(sc.METRIC_WORKFLOWS, {**attributes, sc.WORKFLOW_STATUS: status})
        if step is not None:
            attributes[sc.WORKFLOW_STEP] = self._runtime.name(step, "step")
        self.emit(f"otel_chat.workflow.{status}", attributes)

    @_guarded
    def message(self, text: str) -> None:
        """Gives the user's message; kept only with content capture on, else for hooks alone."""
        if self.takes_message:
            self.state.user_message = content(text, "user")

    @_guarded
    def reply(self, text: str) -> None:
        """Gives the reply; kept only with content capture on."""
        self.said(text)
        if self.captures_content:
            self.state.reply = content(text, "assistant")

    @_guarded
    def result(self, value: object) -> None:
        """Gives the model's or classifier's answer as its client returned it.

        Model, provider, usage, finish reason, confidence and intent are read from it by its shape
        after the turn, in the delivery thread; what is reported otherwise wins.
        """
        self.said(value)
        if type(value) not in SILENT:
            self.state.result = value

    @_guarded
    def chunk(self, piece: object) -> None:
        """Notes a piece of a streamed reply; the first one's time is recorded."""
        state = self.state
        if sc.TIME_TO_FIRST_CHUNK not in state.attributes:
            self.first_chunk()
        chunks, reader = state.chunks, state.reply_reader
        if chunks is None:
            keeps = self.captures_content
            chunks = state.chunks = Chunks(keeps_text=keeps and reader is None)
            state.reply_pieces = Texts() if keeps and reader is not None else None
        chunks.record_chunk(piece)
        if state.reply_pieces is not None and reader is not None:
            told = text_from(reader(piece))
            if told:
                state.reply_pieces.add(told)

    def _count(self, metric: str, attributes: dict[str, Any]) -> None:
        self.state.outermost.counts.append((metric, attributes))


NO_TURN: Final = Turn(None, "", {})
"""What `current_turn()` gives outside a turn."""


def current_turn() -> Turn:
    """The turn that is running here; outside one, a turn that does nothing but count the calls.

    Example:
        >>> current_turn().trace_id is None
        True
    """
    found = otel_context.get_current().get(TURN_KEY)
    return found if isinstance(found, Turn) else NO_TURN


def new_turn(
    runtime: Runtime,
    agent: str | None,
    attributes: dict[str, AnyValue],
    conversation_id: object = None,
    default_agent: str = DEFAULT_AGENT,
) -> Turn:
    """A turn that has not started, with what the surrounding conversation, turn or request knows.

    Args:
        runtime: Whose it is.
        agent: The agent's name, where the caller names one.
        attributes: What the caller says of it, clean; before everything else that is known.
        conversation_id: The caller's.
        default_agent: Its agent where nobody names one.
    """
    here = otel_context.get_current()
    outer = here.get(TURN_KEY)
    nested = isinstance(outer, Turn) and outer.is_live
    request = fact_id = None
    known = attributes
    conversation_id = conversation_id_of(conversation_id)
    if nested:
        if conversation_id is None:
            conversation_id = outer.conversation_id  # type: ignore[attr-defined] # a Turn
    elif (request := current_request(here)) is not None:
        facts = dict(request.facts())
        fact_id = facts.pop("conversation_id", None)
        known = {**span_attributes(runtime, facts), **attributes}
    conversation: Known | None = here.get(CONVERSATION_KEY)  # type: ignore[assignment] # our key
    if conversation is not None:
        known = {**known, **conversation.attributes, **attributes}
        conversation_id = conversation_id or conversation.attributes.get(sc.CONVERSATION_ID)
        agent = agent or conversation.agent
    config = runtime.config
    if config.channel is not None:
        known.setdefault(sc.CHANNEL, config.channel)
    if config.tenant is not None:
        known.setdefault(sc.TENANT, config.tenant)
    name = runtime.name(agent_name(agent) or config.agent or default_agent)
    return Turn(runtime, name, known, conversation_id or fact_id, request)


def start_turn(
    runtime: Runtime,
    agent: str | None,
    attributes: dict[str, AnyValue],
    conversation_id: object = None,
    default_agent: str = DEFAULT_AGENT,
    *,
    start_ns: int | None = None,
) -> Turn:
    """A started turn: one of its own, or the provisional one that waits for a handler."""
    here = otel_context.get_current()
    waiting = here.get(TURN_KEY)
    if not (isinstance(waiting, Turn) and waiting.is_live):
        request = current_request(here)
        waiting = None if request is None else request.claim()
    if isinstance(waiting, Turn) and waiting.is_provisional:
        name = agent_name(agent) or runtime.config.agent or default_agent
        waiting.take_over(runtime.name(name), attributes, conversation_id)
        return waiting
    turn = new_turn(runtime, agent, attributes, conversation_id, default_agent)
    turn.start(start_ns)
    return turn


def agent_name(agent: object) -> str | None:
    """An agent's name as given; None where it is none, or no text, which is reported."""
    try:
        return None if agent is None else text(agent, "agent")
    except Exception as error:  # noqa: BLE001 - never in the handler's way
        report_error("agent", error)
        return None


def content(text: Any, sender: Sender) -> str:
    """Text, or that of a message made of parts.

    Raises:
        ArgumentTypeError: there is none in it.
    """
    found = text_from(text, sender)
    if found is None:
        raise ArgumentTypeError("text", "a text or a message", text)
    return found
