"""The peers' decorators, each set up as its documentation says.

Exporters are the caller's and nothing is sent. Content capture is off where there is a switch, for
what is compared is the lifecycle. Imports stand inside: each peer has an environment of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_chat.testing.conformance import PROBE_SCOPE, Subject

NOWHERE = "http://127.0.0.1:9"

Decorate = Callable[[Any], Any]
Made = tuple[Decorate, trace.TracerProvider]


def _provider(processors: Sequence[SpanProcessor]) -> TracerProvider:
    provider = TracerProvider()
    for processor in processors:
        provider.add_span_processor(processor)
    return provider


def _logfire(processors: Sequence[SpanProcessor]) -> Made:
    """`logfire.instrument`; generators with `allow_generator`, which it asks for."""
    import logfire as peer

    peer.configure(
        send_to_logfire=False,
        console=False,
        metrics=False,
        inspect_arguments=False,
        additional_span_processors=list(processors),
    )
    decorate = peer.instrument("handler", extract_args=False, allow_generator=True)
    return decorate, trace.get_tracer_provider()


def _traceloop_sdk(processors: Sequence[SpanProcessor]) -> Made:
    """`traceloop.sdk.decorators.workflow`."""
    os.environ["TRACELOOP_TRACE_CONTENT"] = "false"
    os.environ["TRACELOOP_METRICS_ENABLED"] = "false"
    os.environ["TRACELOOP_LOGGING_ENABLED"] = "false"
    from traceloop.sdk import Traceloop
    from traceloop.sdk.decorators import workflow

    Traceloop.init(
        "handlers", telemetry_enabled=False, instruments=set(), processor=list(processors)
    )
    return workflow(name="handler"), trace.get_tracer_provider()


def _openlit(processors: Sequence[SpanProcessor]) -> Made:
    """`openlit.trace`, which works on the global provider."""
    import openlit as peer

    provider = _provider(processors)
    trace.set_tracer_provider(provider)
    return peer.trace, provider


def _langfuse(processors: Sequence[SpanProcessor]) -> Made:
    """`langfuse.observe`; its own exporter discards."""
    from langfuse import Langfuse, observe

    provider = _provider(processors)
    Langfuse(
        public_key="pk-none",
        secret_key="sk-none",
        base_url=NOWHERE,
        tracer_provider=provider,
        span_exporter=InMemorySpanExporter(),
    )
    return observe(name="handler", capture_input=False, capture_output=False), provider


def _openinference(processors: Sequence[SpanProcessor]) -> Made:
    """`OITracer.agent` of openinference-instrumentation."""
    from openinference.instrumentation import OITracer, TraceConfig

    provider = _provider(processors)
    config = TraceConfig(hide_inputs=True, hide_outputs=True)
    return OITracer(provider.get_tracer("handlers"), config).agent, provider


def _otel_chat(processors: Sequence[SpanProcessor]) -> Made:
    """`otel_chat.chat_handler` under the very same conditions."""
    from otel_chat import chat_handler
    from otel_chat._telemetry.runtime import Runtime, install
    from otel_chat.config import Config

    provider = _provider(processors)
    install(Runtime(Config(), tracer_provider=provider))
    return chat_handler, provider


SET_UP: dict[str, Callable[[Sequence[SpanProcessor]], Made]] = {
    "logfire": _logfire,
    "traceloop_sdk": _traceloop_sdk,
    "openlit": _openlit,
    "langfuse": _langfuse,
    "openinference": _openinference,
    "otel_chat": _otel_chat,
}


def subject(name: str, *processors: SpanProcessor) -> Subject:
    """The subject of that name; its spans go to an exporter in memory and to `processors`."""
    exporter = InMemorySpanExporter()
    decorate, provider = SET_UP[name]([SimpleSpanProcessor(exporter), *processors])
    made = Subject.reading(
        exporter,
        name=name.replace("_", "-"),
        decorate=decorate,
        tracer=provider.get_tracer(PROBE_SCOPE),
        maker=f"subjects:{name}",
    )
    return _delivered(made) if name == "otel_chat" else made


def _delivered(made: Subject) -> Subject:
    """Our spans are ended by the delivery thread: what reads them waits for it."""
    from otel_chat import flush

    def spans() -> Sequence[ReadableSpan]:
        flush()
        return made.spans()

    def reset() -> None:
        flush()
        made.reset()

    return replace(made, spans=spans, reset=reset)


def logfire(*processors: SpanProcessor) -> Subject:
    return subject("logfire", *processors)


def traceloop_sdk(*processors: SpanProcessor) -> Subject:
    return subject("traceloop_sdk", *processors)


def openlit(*processors: SpanProcessor) -> Subject:
    return subject("openlit", *processors)


def langfuse(*processors: SpanProcessor) -> Subject:
    return subject("langfuse", *processors)


def openinference(*processors: SpanProcessor) -> Subject:
    return subject("openinference", *processors)


def otel_chat(*processors: SpanProcessor) -> Subject:
    return subject("otel_chat", *processors)
