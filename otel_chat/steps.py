"""Steps inside a turn: model calls, tools and workflows, each a child span."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import Token
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar, cast

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat.runtime import NO_SPAN, Runtime, current, report_error
from otel_chat.turn import NO_TURN, current_turn
from otel_chat.usage import GEN_AI_KEYS, Usage

F = TypeVar("F", bound=Callable[..., Any])


class Step:
    """A child span as a block or around a function; subclasses say which.

    Used as a decorator it makes a fresh step for every call, so calls may overlap.
    """

    kind: ClassVar[SpanKind] = SpanKind.INTERNAL
    operation: ClassVar[str] = ""
    metric: ClassVar[str | None] = None

    def __init__(self, name: str, attributes: dict[str, AnyValue]) -> None:
        self._name = name
        self._given = attributes
        self._late: dict[str, AnyValue] = {}
        self._span: Span = trace.INVALID_SPAN
        self._context: Context | None = None
        self._token: Token[Context] | None = None
        self._runtime: Runtime | None = None
        self._turn = NO_TURN
        self._start_ns = self._start_mono = 0

    def _fresh(self) -> Self:
        fresh = type(self).__new__(type(self))
        Step.__init__(fresh, self._name, self._given)
        return fresh

    def __call__(self, function: F) -> F:
        """Makes every call of a function a step."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def acall(*args: Any, **kwargs: Any) -> Any:
                with self._fresh():
                    return await function(*args, **kwargs)

            return cast("F", acall)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._fresh():
                return function(*args, **kwargs)

        return cast("F", call)

    def __enter__(self) -> Self:
        try:
            self._start(current())
        except Exception as error:  # noqa: BLE001 - never in the caller's way
            report_error(self.operation, error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None and otel_context.get_current() is self._context:
            otel_context.detach(self._token)
        self._token = None
        try:
            self._end(error)
        except Exception as problem:  # noqa: BLE001 - never in the caller's way
            report_error(self.operation, problem)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _start(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._start_ns = runtime.clock.time_ns()
        self._start_mono = runtime.clock.monotonic_ns()
        here = otel_context.get_current()
        attributes = {k: runtime.name(v) for k, v in self._given.items() if v is not None}
        turn = self._turn = current_turn()
        conversation_id = turn.conversation_id
        if conversation_id is not None:
            attributes[sc.CONVERSATION_ID] = conversation_id
        attributes[sc.OPERATION_NAME] = self.operation
        self._span = runtime.tracer.start_span(
            f"{self.operation} {runtime.name(self._name)}",
            context=here,
            kind=self.kind,
            attributes=attributes,
            start_time=self._start_ns,
            record_exception=False,
            set_status_on_exception=False,
        )
        if turn.is_live:
            above = trace.get_current_span(here).get_span_context().span_id
            turn.children.started(self._span.get_span_context().span_id, above)
        self._context = trace.set_span_in_context(self._span, here)
        self._token = otel_context.attach(self._context)
        self.on_start()

    def _end(self, error: BaseException | None) -> None:
        runtime = self._runtime
        if runtime is None:
            return
        self._runtime = None
        elapsed = runtime.clock.monotonic_ns() - self._start_mono
        if isinstance(error, Exception):
            self._late[sc.ERROR_TYPE] = type(error).__qualname__
            self._span.set_status(StatusCode.ERROR)
        self._span.set_attributes(self._late)
        self._span.end(self._start_ns + elapsed)
        if self.metric is not None:
            series = {**self._given, **self._late, sc.OPERATION_NAME: self.operation}
            record = runtime.instruments.record
            runtime.delivery.put((record, self.metric, elapsed / 1e9, series, NO_SPAN))
        self.on_end(error)

    def on_start(self) -> None:
        """What else happens at the start."""

    def on_end(self, error: BaseException | None) -> None:
        """What else happens at the end."""


class model_call(Step):  # noqa: N801 - used as a decorator and as a block
    """A call of a language model: span `chat {model}`, duration, usage.

    Args:
        model: The model asked.
        provider: Who runs it.

    Example:
        >>> with model_call("gpt-4o-mini", provider="openai") as call:
        ...     call.usage(input_tokens=12, output_tokens=3)
    """

    kind = SpanKind.CLIENT
    operation = sc.OPERATION_CHAT
    metric = sc.METRIC_CLIENT_OPERATION_DURATION

    def __init__(self, model: str, provider: str | None = None) -> None:
        super().__init__(model, {sc.REQUEST_MODEL: model, sc.PROVIDER_NAME: provider})

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        response_model: str | None = None,
    ) -> None:
        """Reports what the call used; the turn sums it up."""
        given = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cache_read_tokens": cache_read_tokens,
            "reasoning_tokens": reasoning_tokens,
        }
        try:
            usage = Usage.of(given)
            self._late.update(usage.attributes(GEN_AI_KEYS))
            if response_model is not None:
                self._late[sc.RESPONSE_MODEL] = current().name(response_model)
            usage.model = response_model or self._name
            provider = self._given.get(sc.PROVIDER_NAME)
            usage.provider = provider if isinstance(provider, str) else None
            if usage:
                self._turn.children.used(self._span.get_span_context().span_id, usage)
        except Exception as error:  # noqa: BLE001 - never in the caller's way
            report_error("model_call", error)


class tool(Step):  # noqa: N801 - used as a decorator and as a block
    """A tool that the agent runs: span `execute_tool {tool}`, duration.

    Args:
        name: The tool's name.

    Example:
        >>> @tool("order_lookup")
        ... def lookup(number: str) -> str:
        ...     return "on its way"
        >>> lookup("17")
        'on its way'
    """

    operation = sc.OPERATION_EXECUTE_TOOL
    metric = sc.METRIC_EXECUTE_TOOL_DURATION

    def __init__(self, name: str) -> None:
        super().__init__(name, {sc.TOOL_NAME: name})


class workflow(Step):  # noqa: N801 - used as a decorator and as a block
    """A workflow: span `invoke_workflow {name}`, events started, then completed or failed.

    Args:
        name: The workflow's name.

    Example:
        >>> with workflow("return_order") as steps:
        ...     steps.step("label_printed")
    """

    operation = sc.OPERATION_INVOKE_WORKFLOW

    def __init__(self, name: str) -> None:
        super().__init__(name, {sc.WORKFLOW_GEN_AI_NAME: name})

    def step(self, name: str) -> None:
        """Names the step that it is at; a failure is reported with it."""
        self._late[sc.WORKFLOW_STEP] = current().name(name)

    def on_start(self) -> None:
        """Reports the start."""
        current_turn().workflow(self._name, "started")

    def on_end(self, error: BaseException | None) -> None:
        """Reports how it ended; cancelled is failed."""
        step = self._late.get(sc.WORKFLOW_STEP)
        status = "completed" if error is None else "failed"
        current_turn().workflow(self._name, status, step if isinstance(step, str) else None)
