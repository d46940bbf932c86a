"""Runs that a framework tells of by their ids: turns, and the steps inside them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context

from otel_chat._common.checks import is_a
from otel_chat._telemetry.runtime import current
from otel_chat._turns.fields import TurnFields, check_names, span_attributes
from otel_chat._turns.model_results import text_from
from otel_chat._turns.turn import NO_TURN, Turn, current_turn, start_turn
from otel_chat._wrap.steps import Step


class Run:
    """A run that has begun: its turn, and what is current inside it.

    Args:
        turn: The turn that it is, or is part of.
        context: What is current inside.
        step: What ends with it: a step, the turn itself, or nothing.
    """

    __slots__ = ("before", "context", "inside", "step", "turn")

    def __init__(self, turn: Turn, context: Context, step: Step | Turn | None = None) -> None:
        self.turn = turn
        self.context = context
        self.step = step
        self.before: Context | None = None
        self.inside: list[Hashable] = []


class Runs:
    """The runs of a framework that have begun and not ended.

    A framework says when a run starts and ends in whatever task or thread it likes, so a run
    inherits from the one above it, which it names, and not from what happens to be current.

    Args:
        agent: The agent of its turns, where the framework names none.
        fields: What else is said of its turns.

    Raises:
        ConfigurationError: there is no such field.
    """

    def __init__(self, agent: str | None, fields: TurnFields) -> None:
        check_names(fields, "turns of a framework")
        self.agent = agent
        self._fields = fields
        self._open: dict[Hashable, Run] = {}

    def __getitem__(self, key: Hashable) -> Turn:
        """The turn that a run is part of; one that does nothing where there is none."""
        found = self._open.get(key)
        return NO_TURN if found is None else found.turn

    def __contains__(self, key: Hashable) -> bool:
        """Whether a run has begun and not ended."""
        return key in self._open

    def step_of(self, key: Hashable) -> Step | Turn | None:
        """What ends with a run."""
        found = self._open.get(key)
        return None if found is None else found.step

    def turn(
        self, key: Hashable, conversation_id: object, asked: object, agent: str | None = None
    ) -> None:
        """An outermost run begins. It is a turn, unless it runs inside that of a handler."""
        around = current_turn()
        if around.is_live and not around.is_provisional:
            self._open[key] = Run(around, otel_context.get_current())
            return
        runtime = current()
        attributes = span_attributes(runtime, self._fields)
        turn = start_turn(runtime, self.agent or agent, attributes, conversation_id)
        turn.state.mute = True
        self._open[key] = Run(turn, _inside(turn), turn)
        self.asked(key, asked)

    def asked(self, key: Hashable, asked: object) -> None:
        """What a turn was asked, where it has not been said before."""
        turn = self.step_of(key)
        if not isinstance(turn, Turn) or turn.state.user_message is not None:
            return
        if turn.takes_message and (text := text_from(asked, "user")):
            turn.message(text)

    def step(self, key: Hashable, above: Hashable, step: Step, *, attached: bool = False) -> None:
        """A run begins that is a step.

        Args:
            key: Its id.
            above: That of the run around it.
            step: What it is, not started.
            attached: Makes it current in what runs here until it ends.
        """
        around = self._open.get(above)
        here = otel_context.get_current()
        token = otel_context.attach(here if around is None else around.context)
        try:
            turn = current_turn()
            run = Run(turn, _inside(step.begin((), {})), step)
        finally:
            otel_context.detach(token)
        if attached:
            run.before = here
            otel_context.attach(run.context)
        self._add(key, around, run)

    def part(self, key: Hashable, above: Hashable) -> None:
        """A run begins that is no step of its own."""
        around = self._open.get(above)
        if around is not None:
            self._add(key, around, Run(around.turn, around.context))

    def _add(self, key: Hashable, around: Run | None, run: Run) -> None:
        self._open[key] = run
        if around is not None:
            around.inside.append(key)

    def end(self, key: Hashable, result: object = None, error: BaseException | None = None) -> None:
        """A run ends, and with it what it left open inside.

        Args:
            key: Its id.
            result: What came of it.
            error: What ended it, if anything did.
        """
        run = self._open.pop(key, None)
        if run is None:
            return
        for inner in run.inside:
            self.end(inner, error=error)
        if run.before is not None and otel_context.get_current() is run.context:
            otel_context.attach(run.before)
        if isinstance(run.step, Turn):
            _answer(run.step, result)
        elif run.step is not None and result is not None:
            run.step.take_result(result)
        if run.step is not None:
            run.step.finish(error)


def _inside(step: Step | Turn) -> Context:
    """What is current inside a step."""
    token = step.attach()
    try:
        return otel_context.get_current()
    finally:
        step.detach(token)


def _answer(turn: Turn, result: Any) -> None:
    """Notes what came of a turn."""
    if is_a(result, str):
        turn.reply(result)
    elif result is not None:
        turn.result(result)
        if turn.captures_content:
            turn.state.returned = result  # read in the delivery thread
