"""The addresses that take telemetry: OTLP over HTTP, in protobuf and JSON."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.requests import ClientDisconnect

from otel_chat.errors import AccessError, IngestError, StoreError
from otel_chat.server.access import IngestGrant
from otel_chat.server.api.errors import told
from otel_chat.server.api.security import Grant, own_router
from otel_chat.server.ingest.bodies import JSON, PROTOBUF, Intake, content_type, limit_of, unpack
from otel_chat.server.ingest.check import check_logs, check_traces
from otel_chat.server.ingest.commit import Committer
from otel_chat.server.ingest.counters import IngestCounters
from otel_chat.server.ingest.metrics import read_metrics

_log = logging.getLogger("otel_chat.server")

# From here on a body is checked in a thread, so that it holds up nobody else.
_LARGE_BYTES: Final = 64 * 1024
_LARGE_PACKED_BYTES: Final = 8 * 1024
_CODES: Final = {  # of google.rpc.Code
    400: 3, 401: 16, 403: 7, 413: 8, 415: 3, 499: 1, 500: 13, 503: 14,
}  # fmt: skip
_TOLD_CHARACTERS: Final = 1000  # an error may quote all that was sent
_LEFT: Final = 499

T = TypeVar("T")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def _write(message: Message, kind: str, status: int = 200, **headers: str) -> Response:
    if kind == JSON:
        text = MessageToJson(message, indent=None)
        return Response(text, status_code=status, media_type=JSON, headers=headers)
    data = message.SerializeToString()
    return Response(data, status_code=status, media_type=PROTOBUF, headers=headers)


def _told(answer: Message, rejected_field: str, rejected: int, said: str, kind: str) -> Response:
    """The answer to a body, with what was refused of it and why."""
    if rejected or said:
        partial = answer.partial_success  # type: ignore[attr-defined] # of all three signals
        setattr(partial, rejected_field, rejected)
        partial.error_message = _clipped(said)
    return _write(answer, kind)


def _clipped(text: str) -> str:
    """As much of a text as is told; protobuf takes no half of a pair of surrogates."""
    return text[:_TOLD_CHARACTERS].encode(errors="replace").decode()


def _refusal(request: Request, error: Exception) -> tuple[Response, int]:
    headers = {}
    text = str(error)
    match error:
        case IngestError() | AccessError():
            status = error.status
        case StoreError():
            # Other than 503, a sender would not try again but drop what it has.
            status, text = 503, told(error)
            headers["Retry-After"] = str(getattr(error, "retry_after", 5))
        case ClientDisconnect():
            status, text = _LEFT, "The sender left."
        case _:
            _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
            status, text = 500, "Something went wrong in the server; its log says what."
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    answer = Status(
        code=_CODES.get(status, 2),
        message=_clipped(text),
    )
    if status == 401:  # noqa: PLR2004 - HTTP's own number
        headers["WWW-Authenticate"] = "Bearer"
    return _write(answer, JSON if kind == JSON else PROTOBUF, status, **headers), status


class OtlpRoute(APIRoute):
    """A route that refuses as OTLP asks: with a `google.rpc.Status`."""

    def get_route_handler(self) -> Handler:
        """The handler, with refusals put into OTLP's form and counted."""
        handle = super().get_route_handler()
        signal = self.path.rpartition("/")[2]

        async def answered(request: Request) -> Response:
            counters: IngestCounters = request.app.state.ingest_counters
            try:
                response = await handle(request)
            except Exception as error:  # noqa: BLE001 - the sender must get an answer of OTLP's
                response, status = _refusal(request, error)
                counters.refused(signal, status)
            else:
                counters.accepted(signal)
            return response

        return answered


router: Final = own_router(prefix="/v1", route_class=OtlpRoute, include_in_schema=False)


def _committer(request: Request) -> Committer:
    committer: Committer = request.app.state.committer
    return committer


async def _read(
    request: Request, check: Callable[[bytes, str, IngestGrant], T], grant: IngestGrant
) -> tuple[T, str]:
    """The body of a request, checked, and its content type."""
    kind = content_type(request)
    intake: Intake = request.app.state.intake
    async with intake.take(request, kind) as (sent, packed):
        later = packed and len(sent) >= _LARGE_PACKED_BYTES
        body = unpack(sent, limit_of(kind)) if packed and not later else sent
        if not later and len(body) < _LARGE_BYTES:
            return check(body, kind, grant), kind

        def checked() -> T:
            return check(unpack(sent, limit_of(kind)) if later else body, kind, grant)

        async with intake.checks:
            # Not among the threads of the queries: a slow one must not hold up telemetry.
            return await asyncio.to_thread(checked), kind


def _count_rejected(request: Request, signal: str, items: int) -> None:
    if items:
        counters: IngestCounters = request.app.state.ingest_counters
        counters.rejected(signal, items)


@router.post("/traces")
async def traces(request: Request, grant: Grant) -> Response:
    """Take spans; 200 means that they are on disk."""
    batch, kind = await _read(request, check_traces, grant)
    if batch.items:
        await _committer(request).commit(batch)
    _count_rejected(request, batch.signal, batch.rejected)
    answer = ExportTraceServiceResponse()
    return _told(answer, "rejected_spans", batch.rejected, batch.message, kind)


@router.post("/logs")
async def logs(request: Request, grant: Grant) -> Response:
    """Take log records, of which events are kept; 200 means that they are on disk."""
    batch, kind = await _read(request, check_logs, grant)
    if batch.items:
        await _committer(request).commit(batch)
    _count_rejected(request, batch.signal, batch.rejected)
    answer = ExportLogsServiceResponse()
    return _told(answer, "rejected_log_records", batch.rejected, batch.message, kind)


@router.post("/metrics")
async def metrics(request: Request, grant: Grant) -> Response:
    """Take metrics, of which the application's own state is kept; 200 means on disk."""
    found, kind = await _read(request, read_metrics, grant)
    await _committer(request).commit_metrics(found.rows)
    _count_rejected(request, "metrics", found.rejected + found.elsewhere)
    answer = ExportMetricsServiceResponse()
    # What is left to Prometheus on purpose is a warning, no refusal, as OTLP has it
    return _told(answer, "rejected_data_points", found.rejected, found.message, kind)
