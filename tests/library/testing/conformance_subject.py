"""Our decorator as a subject, in a process of its own: on `setup()` and the global provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from otel_chat import chat_handler, flush, setup
from otel_chat.testing.conformance import Subject


def make(*processors: SpanProcessor) -> Subject:
    provider = TracerProvider()
    for processor in processors:
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    setup(service_name="conformance")
    subject = Subject.on(provider, name="otel-chat", decorate=chat_handler)

    def delivered() -> Sequence[ReadableSpan]:
        flush()
        return subject.spans()

    return replace(subject, spans=delivered)
