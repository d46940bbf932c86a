"""One contestant of the overhead benchmark, in a process of its own.

Reads a number of calls from a line of standard input, makes them, and answers with a line of JSON:
microseconds a call on the caller's path, and of CPU in the whole process until all is delivered.
"""

# ruff: noqa: ARG001, ARG002, D102 - handlers have a chat handler's signature, needed or not

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

Handler = Callable[[str, str], object]
Made = tuple[Handler, Callable[[], object]]
MODEL, REPLY = "gpt-4o-mini", "It is on its way."
INPUT_TOKENS, OUTPUT_TOKENS = 420, 37
CONCURRENT, CHUNKS, CONVERSATIONS = 1000, 2000, 5000


class Nowhere(SpanExporter):
    """Takes spans and forgets them: what is measured is the process, not a network."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def completion() -> Any:
    """What a model's client returns, in the shape of an OpenAI chat completion."""
    usage = SimpleNamespace(
        prompt_tokens=INPUT_TOKENS,
        completion_tokens=OUTPUT_TOKENS,
        prompt_tokens_details=SimpleNamespace(cached_tokens=128),
        completion_tokens_details=SimpleNamespace(reasoning_tokens=0),
    )
    message = SimpleNamespace(content=REPLY, role="assistant", tool_calls=None)
    choice = SimpleNamespace(index=0, message=message, finish_reason="stop", logprobs=None)
    return SimpleNamespace(
        id="c-1", object="chat.completion", model=MODEL, choices=[choice], usage=usage
    )


ANSWER = completion()


def span_provider() -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=20_000))
    trace.set_tracer_provider(provider)
    return provider


def install_metrics() -> Any:
    from opentelemetry.metrics import set_meter_provider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    meters = MeterProvider([InMemoryMetricReader()])
    set_meter_provider(meters)
    return meters


def install_logs() -> Any:
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter

    class Forgetting(InMemoryLogRecordExporter):
        def export(self, batch: Any) -> Any:
            answer = super().export(batch)
            self.clear()
            return answer

    logs = LoggerProvider()
    logs.add_log_record_processor(
        BatchLogRecordProcessor(Forgetting(), max_queue_size=20_000)  # type: ignore[no-untyped-call]
    )
    set_logger_provider(logs)
    return logs


def bare() -> Made:
    def handler(session_id: str, text: str) -> object:
        return ANSWER.choices[0].message.content

    return handler, lambda: None


def raw_span() -> Made:
    provider = span_provider()
    tracer = provider.get_tracer("app")

    def handler(session_id: str, text: str) -> object:
        attributes = span_attributes(session_id)
        with tracer.start_as_current_span("invoke_agent support", attributes=attributes):
            return ANSWER.choices[0].message.content

    return handler, provider.force_flush


def span_attributes(session_id: str) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "support",
        "gen_ai.conversation.id": session_id,
        "gen_ai.request.model": MODEL,
        "otel_chat.channel": "web",
        "otel_chat.intent.name": "parcel",
        "otel_chat.usage.input_tokens": INPUT_TOKENS,
        "otel_chat.usage.output_tokens": OUTPUT_TOKENS,
    }


def naive(*, events: bool = False) -> Made:
    """The raw span and six records, as one writes them by hand; with `events` two events too."""
    provider, meters = span_provider(), install_metrics()
    logs = install_logs() if events else None
    emit = logs.get_logger("app").emit if logs else None
    tracer, meter = provider.get_tracer("app"), meters.get_meter("app")
    duration = meter.create_histogram("turn.duration", "s")
    tokens = meter.create_histogram("turn.tokens", "{token}")
    cost = meter.create_histogram("turn.cost", "{USD}")
    confidence = meter.create_histogram("turn.confidence", "1")
    intents = meter.create_counter("intents")

    def handler(session_id: str, text: str) -> object:
        begin = time.perf_counter()
        attributes = span_attributes(session_id)
        with tracer.start_as_current_span("invoke_agent support", attributes=attributes):
            reply = ANSWER.choices[0].message.content
            common = {"agent": "support", "channel": "web", "model": MODEL}
            tokens.record(ANSWER.usage.prompt_tokens, {**common, "type": "input"})
            tokens.record(ANSWER.usage.completion_tokens, {**common, "type": "output"})
            cost.record(0.0000852, common)
            confidence.record(0.93, common)
            intents.add(1, {**common, "intent": "parcel"})
            duration.record(time.perf_counter() - begin, {**common, "status": "ok"})
            if emit:
                event = {**common, "session": session_id, "log.record.uid": uuid.uuid4().hex}
                intent = {**event, "intent": "parcel", "confidence": 0.93, "fallback": False}
                now = time.time_ns()
                emit(timestamp=now, event_name="intent", attributes=intent)
                emit(timestamp=now, event_name="topic", attributes={**event, "topic": "delivery"})
            return reply

    return handler, lambda: provider.force_flush() and (logs is None or logs.force_flush())


def naive_events() -> Made:
    """By hand what ours tells, but for extraction: span, six records, two events."""
    return naive(events=True)


def ours(endpoint: str | None = None, *, events: bool = True) -> Callable[[], object]:
    """Sets ours up and gives what flushes it."""
    import otel_chat

    def flush() -> bool:
        done = runtime.flush(30.0)
        return done and all(provider.force_flush() for provider in providers)

    providers: list[Any] = []
    if endpoint is None:
        providers = [span_provider()]
        install_metrics()
        if events:
            providers.append(install_logs())
        else:
            os.environ["OTEL_LOGS_EXPORTER"] = "none"

    config = otel_chat.Config(
        keep_rate=1.0,
        models=(MODEL,),
        price_table={MODEL: {"input": 0.15, "output": 0.6, "cache_read": 0.075}},
    )
    runtime = otel_chat.setup(service_name="overhead", endpoint=endpoint, config=config)
    return flush


def everything(endpoint: str | None = None) -> Made:
    """Ours: turn span, extraction, intent, usage, cost, confidence, events, records, exemplars."""
    import otel_chat

    flush = ours(endpoint)

    @otel_chat.chat_handler(
        agent="support", conversation_id="session_id", message="text", channel="web", model=MODEL
    )
    def handler(session_id: str, text: str) -> object:
        turn = otel_chat.current_turn()
        turn.intent("parcel", 0.93)
        turn.topic("delivery")
        turn.result(ANSWER)
        return ANSWER.choices[0].message.content

    return handler, flush


def records() -> Made:
    """Ours with what `naive` tells: the same span and records, neither events nor extraction."""
    import otel_chat

    flush = ours(events=False)

    @otel_chat.chat_handler(
        agent="support", conversation_id="session_id", message="text", channel="web", model=MODEL
    )
    def handler(session_id: str, text: str) -> object:
        turn = otel_chat.current_turn()
        turn.intent("parcel", 0.93)
        usage = ANSWER.usage
        turn.usage(input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens)
        return ANSWER.choices[0].message.content

    return handler, flush


def decorator() -> Made:
    """Ours around a handler that reports nothing: what the peers are measured on."""
    from otel_chat import chat_handler

    flush = ours()
    handler, _ = bare()
    named = chat_handler(agent="support", conversation_id="session_id", channel="web")
    decorated: Handler = named(handler)
    return decorated, flush


def away() -> Made:
    """Ours with a collector that is not there. Its retries are not waited for."""
    handler, _ = everything("http://127.0.0.1:9")
    return handler, lambda: None


def peer(name: str) -> Made:
    import subjects

    batch = BatchSpanProcessor(Nowhere(), max_queue_size=20_000)
    # langfuse has a batch processor of its own
    decorate, provider = subjects.SET_UP[name]([] if name == "langfuse" else [batch])

    def handler(session_id: str, text: str) -> object:
        return ANSWER.choices[0].message.content

    return decorate(handler), getattr(provider, "force_flush", lambda: None)


def measure(handler: Handler, flush: Callable[[], object], calls: int) -> dict[str, float]:
    gc.collect()
    cpu, begin = time.process_time_ns(), time.perf_counter_ns()
    for number in range(calls):
        handler(f"s-{number % 50}", "Where is my parcel?")
    wall = time.perf_counter_ns() - begin
    flush()
    return {
        "us": wall / calls / 1000,
        "cpu_us": (time.process_time_ns() - cpu) / calls / 1000,
    }


def serve(made: Made) -> None:
    handler, flush = made
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(handler, flush, int(line))), flush=True)


# -- what is measured of ours alone ----------------------------------------------------------------


def _per(count: int, work: Callable[[], object]) -> float:
    gc.collect()
    begin = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - begin) / count / 1000


def chunk_us(decorate: Callable[[Any], Any]) -> float:
    def stream(session_id: str) -> Iterator[str]:
        for _ in range(CHUNKS):
            yield "chunk "

    def consume(handler: Callable[[str], Iterator[str]]) -> None:
        for _ in handler("s-1"):
            pass

    decorated = decorate(stream)
    return _per(CHUNKS, lambda: consume(decorated)) - _per(CHUNKS, lambda: consume(stream))


def async_chunk_us(decorate: Callable[[Any], Any]) -> float:
    async def stream(session_id: str) -> Any:
        for _ in range(CHUNKS):
            yield "chunk "

    async def consume(handler: Any) -> None:
        async for _ in handler("s-1"):
            pass

    decorated = decorate(stream)

    def timed(handler: Any) -> float:
        return _per(CHUNKS, lambda: asyncio.run(consume(handler)))

    return timed(decorated) - timed(stream)


def extract_us(_: Callable[[Any], Any]) -> float:
    from otel_chat.extract import extract

    def read() -> None:
        for _ in range(CHUNKS):
            extract(ANSWER)

    return _per(CHUNKS, read)


def concurrent_us(decorate: Callable[[Any], Any]) -> float:
    async def answer(session_id: str) -> str:
        for _ in range(3):
            await asyncio.sleep(0)
        return REPLY

    async def crowd(handler: Any) -> None:
        await asyncio.gather(*(handler(f"s-{n}") for n in range(CONCURRENT)))

    decorated = decorate(answer)

    def timed(handler: Any) -> float:
        return _per(CONCURRENT, lambda: asyncio.run(crowd(handler)))

    return timed(decorated) - timed(answer)


def conversation_bytes(handler: Handler, flush: Callable[[], object]) -> float:
    flush()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(CONVERSATIONS):
        handler(f"conversation-{number:08d}", "Where is my parcel?")
    flush()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return grown / CONVERSATIONS


def ours_alone(rounds: int) -> dict[str, Any]:
    from statistics import median

    from otel_chat import chat_handler

    handler, flush = everything()
    decorate = chat_handler(agent="support", conversation_id="session_id", channel="web")

    def typical(measured: Callable[[Any], float]) -> float:
        values = []
        for _ in range(rounds):
            values.append(measured(decorate))
            flush()
        return median(values)

    return {
        "extract_us": typical(extract_us),
        "chunk_us": typical(chunk_us),
        "async_chunk_us": typical(async_chunk_us),
        "concurrent_1000_us": typical(concurrent_us),
        "conversation_bytes": conversation_bytes(handler, flush),
    }


def main(name: str, *arguments: str) -> None:
    contestants = {
        "bare": bare,
        "raw_span": raw_span,
        "naive": naive,
        "naive_events": naive_events,
        "records": records,
        "decorator": decorator,
        "otel_chat": everything,
        "away": away,
    }
    if name == "alone":
        print(json.dumps(ours_alone(int(arguments[0]))))
    elif name in contestants:
        serve(contestants[name]())
    else:
        serve(peer(name))


if __name__ == "__main__":
    main(*sys.argv[1:])
