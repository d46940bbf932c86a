"""The peers' decorators as subjects of the suite, each as its documentation sets it up.

Exporters are in memory and nothing is sent. Content capture is off where there is a switch, for
what is compared is the lifecycle. Imports stand inside: each peer has an environment of its own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_chat.testing.conformance import PROBE_SCOPE, Subject

NOWHERE = "http://127.0.0.1:9"


def _global_provider(processors: tuple[SpanProcessor, ...]) -> TracerProvider:
    provider = TracerProvider()
    for processor in processors:
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return provider


def logfire(*processors: SpanProcessor) -> Subject:
    """`logfire.instrument`; generators with `allow_generator`, which it asks for."""
    import logfire as peer

    exporter = InMemorySpanExporter()
    peer.configure(
        send_to_logfire=False,
        console=False,
        metrics=False,
        inspect_arguments=False,
        additional_span_processors=[SimpleSpanProcessor(exporter), *processors],
    )
    return Subject.reading(
        exporter,
        name="logfire",
        decorate=peer.instrument("handler", extract_args=False, allow_generator=True),
        tracer=trace.get_tracer(PROBE_SCOPE),
        maker="subjects:logfire",
    )


def traceloop_sdk(*processors: SpanProcessor) -> Subject:
    """`traceloop.sdk.decorators.workflow`."""
    os.environ["TRACELOOP_TRACE_CONTENT"] = "false"
    os.environ["TRACELOOP_METRICS_ENABLED"] = "false"
    os.environ["TRACELOOP_LOGGING_ENABLED"] = "false"
    from traceloop.sdk import Traceloop
    from traceloop.sdk.decorators import workflow

    exporter = InMemorySpanExporter()
    Traceloop.init(
        "conformance",
        telemetry_enabled=False,
        instruments=set(),
        processor=[SimpleSpanProcessor(exporter), *processors],
    )
    return Subject.reading(
        exporter,
        name="traceloop-sdk",
        decorate=workflow(name="handler"),
        tracer=trace.get_tracer(PROBE_SCOPE),
        maker="subjects:traceloop_sdk",
    )


def openlit(*processors: SpanProcessor) -> Subject:
    """`openlit.trace`, which works on the global provider."""
    import openlit as peer

    provider = _global_provider(processors)
    return Subject.on(provider, name="openlit", decorate=peer.trace, maker="subjects:openlit")


def langfuse(*processors: SpanProcessor) -> Subject:
    """`langfuse.observe`."""
    from langfuse import Langfuse, observe

    provider = TracerProvider()
    for processor in processors:
        provider.add_span_processor(processor)
    Langfuse(
        public_key="pk-none",
        secret_key="sk-none",
        base_url=NOWHERE,
        tracer_provider=provider,
        span_exporter=InMemorySpanExporter(),
    )
    return Subject.on(
        provider,
        name="langfuse",
        decorate=observe(name="handler", capture_input=False, capture_output=False),
        maker="subjects:langfuse",
    )


def openinference(*processors: SpanProcessor) -> Subject:
    """`OITracer.agent` of openinference-instrumentation."""
    from openinference.instrumentation import OITracer, TraceConfig

    provider = TracerProvider()
    for processor in processors:
        provider.add_span_processor(processor)
    tracer = OITracer(
        provider.get_tracer("conformance"), TraceConfig(hide_inputs=True, hide_outputs=True)
    )
    return Subject.on(
        provider, name="openinference", decorate=tracer.agent, maker="subjects:openinference"
    )


def otel_chat(*processors: SpanProcessor) -> Subject:
    """`otel_chat.chat_handler` under the very same conditions."""
    from otel_chat import chat_handler
    from otel_chat.config import Config
    from otel_chat.runtime import Runtime, install

    provider = _global_provider(processors)
    runtime = Runtime(Config(), tracer_provider=provider)
    install(runtime)
    subject = Subject.on(
        provider, name="otel-chat", decorate=chat_handler, maker="subjects:otel_chat"
    )

    def delivered() -> Sequence[ReadableSpan]:
        runtime.flush()
        return subject.spans()

    def reset() -> None:
        delivered()
        subject.reset()

    return replace(subject, spans=delivered, reset=reset)
