"""OpenAI Agents SDK: a trace processor, for bots whose turns no decorator makes."""

from __future__ import annotations

import sys
from collections.abc import Collection, Hashable
from typing import Any, Final, Unpack

from otel_chat._telemetry.runtime import flush, reporting
from otel_chat._turns.fields import TurnFields
from otel_chat._wrap.steps import ModelCall, model_call, tool
from otel_chat.integrations._package import needing
from otel_chat.integrations._runs import Runs

with needing("openai-agents"):
    from agents.tracing import Span, Trace, TracingProcessor

_reporting: Final = reporting("openai_agents")
_MODELS: Final = frozenset({"generation", "response"})
_ASIDE: Final = frozenset({"function", "guardrail"})
"""What a model says inside is not said to the user."""


class ToolError(Exception):
    """A tool failed, and the model was told of it."""


class ChatTracingProcessor(TracingProcessor):
    """Makes every trace of the SDK a turn: with its model calls, tools and handoffs.

    The conversation is the trace's `group_id`, which `RunConfig` gives. Inside a decorated handler
    the trace is part of that handler's turn, which also knows when a stream's first chunk came: the
    SDK does not tell. In tools `current_turn()` is the turn.

    Args:
        agent: The agent's name, else that of the first agent that runs.
        people: Agents that stand for people: to hand over to one is a handoff. To hand over to
            another is the event `agent_changed`.
        **fields: channel, user_type and so on, see `TurnFields`.

    Raises:
        ConfigurationError: there is no such field.

    Example:
        >>> from agents import add_trace_processor
        >>> add_trace_processor(ChatTracingProcessor(people={"colleague"}, channel="web"))
    """

    def __init__(
        self,
        agent: str | None = None,
        *,
        people: Collection[str] = (),
        **fields: Unpack[TurnFields],
    ) -> None:
        self._runs = Runs(agent, fields)
        self._people = frozenset(people)
        self._traces: dict[str, tuple[Trace, BaseException | None]] = {}
        self._answers: dict[str, Any] = {}
        self._aside: set[str] = set()

    @_reporting
    def on_trace_start(self, trace: Trace) -> None:
        """A trace begins; its turn does with the first agent, who names it."""
        self._traces[trace.trace_id] = (trace, sys.exc_info()[1])

    @_reporting
    def on_trace_end(self, trace: Trace) -> None:
        """It ends, by the exception that leaves it, if one does."""
        _, before = self._traces.pop(trace.trace_id, (trace, None))
        error = sys.exc_info()[1]
        answer = self._answers.pop(trace.trace_id, None)
        self._runs.end(trace.trace_id, answer, None if error is before else error)

    @_reporting
    def on_span_start(self, span: Span[Any]) -> None:
        """An agent, a model, a tool or another part begins."""
        data, key = span.span_data, span.span_id
        if data.type in _ASIDE or span.parent_id in self._aside:
            self._aside.add(key)
        if data.type == "agent" or data.type in _MODELS:
            self._begin(span.trace_id, data.name if data.type == "agent" else None)
        above = self._above(span)
        if data.type in _MODELS:
            self._runs.step(key, above, model_call(getattr(data, "model", None)))
        elif data.type == "function":
            self._runs.step(key, above, tool(data.name), attached=True)
        else:
            self._runs.part(key, above)

    def _begin(self, trace_id: str, agent: str | None) -> None:
        if trace_id in self._traces and trace_id not in self._runs:
            trace, _ = self._traces[trace_id]
            self._runs.turn(trace_id, getattr(trace, "group_id", None), None, agent)

    def _above(self, span: Span[Any]) -> Hashable:
        return span.parent_id if span.parent_id in self._runs else span.trace_id

    @_reporting
    def on_span_end(self, span: Span[Any]) -> None:
        """It ends, by the exception that leaves it, if one does."""
        data, key = span.span_data, span.span_id
        answer, error = None, sys.exc_info()[1]
        if error is self._traces.get(span.trace_id, (None, None))[1]:
            error = None
        if error is None and span.error is not None and data.type == "function":
            error = ToolError()
        if data.type in _MODELS:
            answer = self._answered(span)
        elif data.type == "handoff" and data.to_agent:
            self._handed_over(span, data.to_agent)
        self._runs.end(key, answer, error)
        self._aside.discard(key)

    def _answered(self, span: Span[Any]) -> object:
        """What a model answered; without sensitive data in traces, its usage alone."""
        data = span.span_data
        response = getattr(data, "response", None)
        step = self._runs.step_of(span.span_id)
        if response is None and isinstance(step, ModelCall) and data.usage:
            step.usage(**_tokens(data.usage))
        if span.span_id not in self._aside:
            self._runs.asked(span.trace_id, data.input)
            self._runs[span.trace_id].said(response or data.usage)
            said = response if response is not None else getattr(data, "output", None)
            if said:
                self._answers[span.trace_id] = said
        return response

    def _handed_over(self, span: Span[Any], target: str) -> None:
        turn = self._runs[span.span_id]
        if target in self._people:
            turn.handoff("agent", target=target)
        else:
            turn.event("agent_changed", {"from": span.span_data.from_agent, "to": target})

    def force_flush(self) -> None:
        """Sends what is queued."""
        flush()

    def shutdown(self) -> None:
        """The process ends; `setup()` sees to it."""


def _tokens(usage: dict[str, Any]) -> dict[str, Any]:
    read, written = (usage.get(f"{kind}_tokens_details") or {} for kind in ("input", "output"))
    return {
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "cache_read_tokens": read.get("cached_tokens"),
        "reasoning_tokens": written.get("reasoning_tokens"),
    }
