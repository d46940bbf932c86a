"""Steps inside a turn: model calls, tools and workflows, each a child span."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Token
from types import TracebackType
from typing import Any, ClassVar, Final, Self, TypeVar, cast, overload

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.util.types import AnyValue

from otel_chat import semconv as sc
from otel_chat._common.checks import text
from otel_chat._telemetry.instruments import Attributes, Instruments
from otel_chat._telemetry.runtime import NO_SPAN, Runtime, current, report_error, reporting
from otel_chat._turns.model_results import SILENT, Chunks, described, read, usage_of
from otel_chat._turns.turn import NO_TURN, current_turn
from otel_chat._usage import GEN_AI_KEYS, Children, Usage
from otel_chat._wrap.arguments import is_function, name_of
from otel_chat._wrap.shapes import wrapper_of
from otel_chat.errors import ArgumentError, ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])


class Step:
    """A child span as a block or around a function; subclasses say which.

    Used as a decorator it makes a fresh step for every call, so calls may overlap. Functions may
    have any shape; a generator's step lasts until its last chunk was consumed.
    """

    kind: ClassVar[SpanKind] = SpanKind.INTERNAL
    operation: ClassVar[str] = ""
    metric: ClassVar[str | None] = None
    follows: bool = False

    named: ClassVar[str | None] = None
    """The attribute that holds its name."""

    def __init__(self, name: object, attributes: dict[str, Any]) -> None:
        self._name = name
        self._given = attributes
        self._clean: dict[str, str] = {}
        self._late: dict[str, AnyValue] = {}
        self._span: Span = trace.INVALID_SPAN
        self._context: Context | None = None
        self._before: Context | None = None
        self._runtime: Runtime | None = None
        self._turn = NO_TURN
        self._start_ns = self._start_mono = self._elapsed = 0

    def __call__(self, function: F, /) -> F:
        """Makes every call of a function a step.

        Raises:
            ConfigurationError: it cannot be called, or the step's name is no text.
        """
        given: Any = function
        if isinstance(given, classmethod | staticmethod):
            return cast("F", type(given)(self(given.__func__)))
        if not callable(given):
            kind = type(given).__name__
            raise ConfigurationError(
                f"{self.operation}: a {kind} cannot be called; decorate a function."
            )
        self.check()
        step = self.like()
        if self._name is None and self.named is not None:
            name = name_of(function)
            step = self.like(_name=name, _given={**self._given, self.named: name})
        return cast("F", wrapper_of(function, step.called, _closer))

    def like(self, **fields: object) -> Self:
        """A step of its own like this one, with fields that are others."""
        fresh = type(self).__new__(type(self))
        fresh.__dict__.update(self.__dict__, _late={}, **fields)
        return fresh

    def called(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Self:
        """A started step like this one, for a call of the decorated function."""
        return self.like().begin(args, kwargs)

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Self:
        """Starts it for a call with these arguments; never raises."""
        self._guarded(self.on_call, args, kwargs)
        self._guarded(self._start)
        return self

    def take_result(self, value: object) -> None:
        """Takes what the decorated function returned; never raises."""
        self._guarded(self.on_result, value)

    def check(self) -> None:
        """Looks at what was given, for a decorator: a block reports it when it is entered.

        Raises:
            ConfigurationError: names it and what is allowed.
        """
        if self._name is not None:
            configured(text, self._name, f"{self.operation}: name")

    def _guarded(self, method: Callable[..., object], *args: object) -> None:
        try:
            method(*args)
        except Exception as error:  # noqa: BLE001 - never in the caller's way
            report_error(self.operation, error)

    def __enter__(self) -> Self:
        self._guarded(self._start)
        self.attach()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.detach()
        self.finish(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    @property
    def is_live(self) -> bool:
        """Whether it has started and is not over."""
        return self._runtime is not None

    def attach(self) -> Token[Context]:
        """Makes the step the current one."""
        self._before = here = otel_context.get_current()
        return otel_context.attach(here if self._context is None else self._context)

    def detach(self, token: Token[Context] | None = None) -> None:  # noqa: ARG002 - as a turn's
        """Makes what was before the current one, unless this is elsewhere.

        Not by the token: a block around a `yield` may be left in another context than its own.
        """
        if self._before is not None and otel_context.get_current() is self._context:
            otel_context.attach(self._before)
        self._before = None

    def _start(self) -> None:
        runtime = current()
        self._start_ns = runtime.clock.time_ns()
        self._start_mono = runtime.clock.monotonic_ns()
        here = otel_context.get_current()
        clean = self._clean = self._cleaned(runtime, self._given)
        attributes = dict(clean)
        turn = self._turn = current_turn()
        conversation_id = turn.conversation_id
        if conversation_id is not None:
            attributes[sc.CONVERSATION_ID] = conversation_id
        attributes[sc.OPERATION_NAME] = self.operation
        own = self._cleaned(runtime, {"name": self._name}).get("name")
        self._span = runtime.tracer.start_span(
            self.operation if own is None else f"{self.operation} {own}",
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
        self._runtime = runtime
        self.on_start()

    def _cleaned(self, runtime: Runtime, given: dict[str, Any]) -> dict[str, str]:
        """What was given, as it may leave the process; what is no text is left out and reported."""
        clean: dict[str, str] = {}
        for key, value in given.items():
            if value is not None:
                try:
                    clean[key] = runtime.name(value, key.rpartition(".")[2])
                except Exception as error:  # noqa: BLE001 - never in the caller's way
                    report_error(self.operation, error)
        return clean

    def now_ns(self) -> int:
        """The time on the step's own clock."""
        clock = current().clock if self._runtime is None else self._runtime.clock
        return self._start_ns + clock.monotonic_ns() - self._start_mono

    def finish(
        self,
        error: BaseException | None = None,
        /,
        *,
        end_ns: int | None = None,
        later: bool = False,
    ) -> None:
        """Ends the step; only the first call counts.

        Args:
            error: What ended it, if anything did.
            end_ns: When it ended, if not now.
            later: Takes no lock, as a finaliser must not.
        """
        end = self.now_ns() if end_ns is None else end_ns
        runtime, self._runtime = self._runtime, None
        if runtime is None:
            return
        self._elapsed = max(end - self._start_ns, 0)
        if isinstance(error, Exception):
            self._late[sc.ERROR_TYPE] = type(error).__qualname__
        job = (self._complete, runtime, error is None, True)
        if not ((later or self.waits) and runtime.delivery.put(job, always=later)):
            self._guarded(self._complete, runtime, error is None, False)

    def _complete(self, runtime: Runtime, well: bool, behind: bool) -> None:  # noqa: FBT001 - a job
        """Ends the span; `behind` the caller's back, in the delivery thread, or before its eyes."""
        try:
            self.on_end(runtime, well=well, behind=behind)
        finally:
            if sc.ERROR_TYPE in self._late:
                self._span.set_status(StatusCode.ERROR)
            self._span.set_attributes(self._late)
            self._span.end(self._start_ns + self._elapsed)
        self.on_ended()
        if behind:
            self._measure(runtime)
        else:
            runtime.delivery.put((self._measure, runtime))

    def _measure(self, runtime: Runtime) -> None:
        """Records its metrics, in the delivery thread, and counts it as one of its turn's."""
        if self._turn is not NO_TURN:
            self.count(self._turn.children, self._span.get_span_context().span_id)
        if self.metric is not None:
            series = {**self._clean, **self._late, sc.OPERATION_NAME: self.operation}
            self.record(runtime.instruments, series, self._exemplar_context(runtime))

    def _exemplar_context(self, runtime: Runtime) -> Context:
        """The context to record it in; its span, where its turn is one that is always kept."""
        if self._turn is NO_TURN:
            return NO_SPAN
        whole = self._turn.state.outermost
        span = self._span.get_span_context()
        return runtime.exemplar_context(span, whole.attributes.get(sc.CONVERSATION_ID))

    @property
    def waits(self) -> bool:
        """Whether its end is worked out in the delivery thread."""
        return False

    def chunk(self, piece: object, /) -> None:
        """Notes a piece of a stream."""

    def on_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """What is taken from the arguments of a decorated function."""

    def on_result(self, value: object, /) -> None:
        """What is taken from what a decorated function returned."""

    def on_start(self) -> None:
        """What else happens at the start."""

    def on_end(self, runtime: Runtime, *, well: bool, behind: bool) -> None:
        """What else happens at the end, before the span's."""

    def on_ended(self) -> None:
        """What else happens after the span's end."""

    def count(self, children: Children, span_id: int) -> None:
        """Counts it among the spans of its turn."""

    def record(self, instruments: Instruments, series: Attributes, context: Context) -> None:
        """Records how long it took, and what else is measured of it.

        Args:
            instruments: The process' own.
            series: What is known of it.
            context: Holds its span, where that may be an exemplar.
        """
        if self.metric is not None:
            instruments.record(self.metric, self._elapsed / 1e9, series, context)


def configured(check: Callable[[Any, str], object], value: object, name: str) -> None:
    """Checks an argument of a decorator.

    Raises:
        ConfigurationError: names it and what is allowed.
    """
    try:
        check(value, name)
    except ArgumentError as error:
        raise ConfigurationError(f"{error}.") from None


def _closer(step: Step) -> Callable[[object], object]:
    return step.take_result


_TOKENS: Final[Mapping[str, tuple[str, str | None]]] = {
    "input_tokens": (sc.METRIC_USAGE_INPUT, sc.METRIC_INFERENCE_INPUT_TOKENS),
    "output_tokens": (sc.METRIC_USAGE_OUTPUT, sc.METRIC_INFERENCE_OUTPUT_TOKENS),
    "cache_read_tokens": (sc.METRIC_USAGE_CACHE_READ, None),
    "cache_write_tokens": (sc.METRIC_USAGE_CACHE_WRITE, None),
    "reasoning_tokens": (sc.METRIC_USAGE_REASONING, None),
}
"""Field of the usage to the counter of what was spent, and the histogram of a call's."""


class ModelCall(Step):
    """A call of a language model, as `model_call` makes it."""

    kind = SpanKind.CLIENT
    operation = sc.OPERATION_CHAT
    metric = sc.METRIC_INFERENCE_DURATION
    follows = True

    def __init__(
        self,
        model: object,
        provider: object = None,
        prompt: object = None,
        prompt_version: object = None,
    ) -> None:
        given = {
            sc.REQUEST_MODEL: model,
            sc.PROVIDER_NAME: provider,
            sc.PROMPT_NAME: prompt,
            sc.PROMPT_VERSION: prompt_version,
        }
        super().__init__(model, given)
        self._texts = {"provider": provider, "prompt": prompt, "prompt_version": prompt_version}
        self._usage = Usage()
        self._result: object = None
        self._stream: Chunks | None = None
        self._first: float | None = None

    def check(self) -> None:
        """The same, and the provider and the prompt."""
        super().check()
        for name, value in self._texts.items():
            if value is not None:
                configured(text, value, f"{self.operation}: {name}")

    @reporting("model_call")
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
        self._usage = Usage.of(given)
        if response_model is not None:
            self._late[sc.RESPONSE_MODEL] = current().name(response_model, "response_model")

    def result(self, value: object) -> None:
        """Gives the answer as the provider's client returned it, for a call as a block.

        Args:
            value: Is read after the call, in the delivery thread.

        Example:
            >>> with model_call("claude-sonnet-4-5") as call:
            ...     call.result({"type": "message", "role": "assistant", "content": [],
            ...                  "usage": {"input_tokens": 12, "output_tokens": 3}})
        """
        if type(value) not in SILENT:
            self._result = value

    on_result = result

    def chunk(self, piece: object, /) -> None:
        """Notes a chunk of a streamed answer; each tells its shape."""
        if self._stream is None:
            self._stream = Chunks()
            self._first = (self.now_ns() - self._start_ns) / 1e9
        self._stream.record_chunk(piece)

    @property
    def waits(self) -> bool:
        """Whether there is an answer to read."""
        return self._result is not None or self._stream is not None

    def on_end(self, runtime: Runtime, *, well: bool, behind: bool) -> None:  # noqa: ARG002
        """Takes what the answer says and nobody reported."""
        found = read(self._stream, self._result, whole=behind)
        self._result = self._stream = None
        if found is not None:
            for key, value in described(runtime, found).items():
                if self._given.get(key) is None:
                    self._late.setdefault(key, value)
            if not self._usage:
                self._usage = usage_of(found)
            if found.confidence is not None:
                self._late[sc.CONFIDENCE] = self._turn.children.confidence = found.confidence
        self._late.update(self._usage.attributes(GEN_AI_KEYS))
        if self._usage.cache_write_tokens is not None:
            self._late[sc.GEN_AI_CACHE_WRITE_TOKENS] = self._usage.cache_write_tokens
        if self._first is not None:
            self._late[sc.GEN_AI_TIME_TO_FIRST_CHUNK] = self._first

    def count(self, children: Children, span_id: int) -> None:
        """Counts it among the model calls of its turn."""
        children.roles[span_id] = "chat"
        clean = self._clean
        children.prompted(self._start_ns, clean.get(sc.PROMPT_NAME), clean.get(sc.PROMPT_VERSION))

    def record(self, instruments: Instruments, series: Attributes, context: Context) -> None:
        """Records the same, and first chunk and tokens, as far as they are known."""
        super().record(instruments, series, context)
        if self._first is not None:
            instruments.record(sc.METRIC_INFERENCE_FIRST_CHUNK, self._first, series, context)
        series = {**series, sc.TOKEN_MODALITY: sc.MODALITY_UNKNOWN}
        for name, (spent, distribution) in _TOKENS.items():
            tokens = getattr(self._usage, name)
            if tokens is None:
                continue
            instruments.tally(spent, series, amount=tokens)
            if distribution is not None and sc.ERROR_TYPE not in series:
                instruments.record(distribution, tokens, series, context)

    def on_ended(self) -> None:
        """Notes the usage for the turn, after a span processor noted the part it can see."""
        usage = self._usage
        if self._turn is NO_TURN:
            return
        asked = self._clean.get(sc.REQUEST_MODEL)
        self._turn.children.called(asked, self._clean.get(sc.PROVIDER_NAME))
        if not usage:
            return
        given = self._clean.get(sc.PROVIDER_NAME)
        usage.model = _text(self._late.get(sc.RESPONSE_MODEL)) or asked
        usage.response_id = usage.response_id or _text(self._late.get(sc.RESPONSE_ID))
        usage.provider = given or _text(self._late.get(sc.PROVIDER_NAME))
        for part in usage.parts:
            part.model, part.provider = part.model or asked, given or part.provider
        self._turn.children.used(self._span.get_span_context().span_id, usage, own=True)


def _text(value: AnyValue) -> str | None:
    return value if isinstance(value, str) else None


class Tool(Step):
    """A tool that the agent runs, as `tool` makes it."""

    operation = sc.OPERATION_EXECUTE_TOOL
    metric = sc.METRIC_EXECUTE_TOOL_DURATION

    named = sc.TOOL_NAME

    def __init__(self, name: object) -> None:
        super().__init__(name, {sc.TOOL_NAME: name, sc.TOOL_TYPE: sc.TOOL_TYPE_FUNCTION})

    def count(self, children: Children, span_id: int) -> None:
        """Counts it among the tools of its turn."""
        children.roles[span_id] = "tool"


class Workflow(Step):
    """A workflow, as `workflow` makes it."""

    operation = sc.OPERATION_INVOKE_WORKFLOW
    metric = sc.METRIC_INVOKE_WORKFLOW_DURATION
    named = sc.WORKFLOW_GEN_AI_NAME

    def __init__(self, name: object) -> None:
        super().__init__(name, {sc.WORKFLOW_GEN_AI_NAME: name})

    @reporting("workflow")
    def step(self, name: str) -> None:
        """Names the step that it is at; a failure is reported with it."""
        self._late[sc.WORKFLOW_STEP] = current().name(name, "step")

    @property
    def _known_as(self) -> str:
        return self._clean.get(sc.WORKFLOW_GEN_AI_NAME, sc.OTHER)

    def on_start(self) -> None:
        """Reports the start."""
        self._turn.workflow(self._known_as, "started")

    def on_end(self, runtime: Runtime, *, well: bool, behind: bool) -> None:  # noqa: ARG002
        """Reports how it ended; cancelled is failed."""
        status = "completed" if well else "failed"
        self._turn.workflow(self._known_as, status, _text(self._late.get(sc.WORKFLOW_STEP)))


@overload
def model_call(function: F, /) -> F: ...


@overload
def model_call(
    model: str | None = None,
    provider: str | None = None,
    *,
    prompt: str | None = None,
    prompt_version: str | None = None,
) -> ModelCall: ...


def model_call(
    model: Any = None,
    provider: str | None = None,
    *,
    prompt: str | None = None,
    prompt_version: str | None = None,
) -> Any:
    """A call of a language model: span `chat {model}`, duration, usage; a decorator or a block.

    From what the decorated function returns, or the chunks of the stream that it gives, model,
    provider, usage, finish reason, tool calls and confidence are read by shape (OpenAI, Anthropic,
    Google, Bedrock, LiteLLM, LangChain, Pydantic AI). What is reported with `usage()` wins.

    Args:
        model: The model asked; the function, where the decorator stands bare.
        provider: Who runs it.
        prompt: The name of the prompt that was used.
        prompt_version: Its version.

    Raises:
        ConfigurationError: used as a decorator, where an argument is no text; names it.

    Example:
        >>> with model_call("gpt-4o-mini", provider="openai") as call:
        ...     call.usage(input_tokens=12, output_tokens=3)
        >>> @model_call
        ... def ask(text: str) -> dict:
        ...     return {"object": "chat.completion", "model": "gpt-4o-mini-2024-07-18",
        ...             "choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}
        >>> ask("Hello")["usage"]["prompt_tokens"]
        12
    """
    more = provider, prompt, prompt_version
    return ModelCall(None, *more)(model) if is_function(model) else ModelCall(model, *more)


@overload
def tool(function: F, /) -> F: ...


@overload
def tool(name: str | None = None) -> Tool: ...


def tool(name: Any = None) -> Any:
    """A tool that the agent runs: span `execute_tool {tool}`, duration; a decorator or a block.

    Args:
        name: The tool's name, else the function's; the function, where the decorator stands bare.

    Raises:
        ConfigurationError: used as a decorator, where the name is no text.

    Example:
        >>> @tool("order_lookup")
        ... def lookup(number: str) -> str:
        ...     return "on its way"
        >>> lookup("17")
        'on its way'
    """
    return Tool(None)(name) if is_function(name) else Tool(name)


@overload
def workflow(function: F, /) -> F: ...


@overload
def workflow(name: str | None = None) -> Workflow: ...


def workflow(name: Any = None) -> Any:
    """A workflow: span `invoke_workflow {name}`, events started, then completed or failed.

    Args:
        name: The workflow's name, else the function's; the function, where the decorator stands
            bare.

    Raises:
        ConfigurationError: used as a decorator, where the name is no text.

    Example:
        >>> with workflow("return_order") as steps:
        ...     steps.step("label_printed")
    """
    return Workflow(None)(name) if is_function(name) else Workflow(name)
