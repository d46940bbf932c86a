"""The addresses that take telemetry: OTLP over HTTP, in protobuf and JSON."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_chat.errors import AccessError, IngestError, StoreUnavailableError
from otel_chat.server.access import IngestGrant
from otel_chat.server.api.security import Grant
from otel_chat.server.ingest.bodies import JSON, PROTOBUF, content_type, read_body
from otel_chat.server.ingest.check import Batch, check_logs, check_traces
from otel_chat.server.ingest.commit import Committer
from otel_chat.server.ingest.counters import IngestCounters
from otel_chat.server.ingest.metrics import read_metrics

# From here on a body is checked in a thread, so that it holds up nobody else.
_LARGE_BYTES: Final = 64 * 1024
_CODES: Final = {400: 3, 401: 16, 403: 7, 413: 8, 415: 3, 503: 14}  # of google.rpc.Code

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def _write(message: Message, kind: str, status: int = 200, **headers: str) -> Response:
    if kind == JSON:
        text = MessageToJson(message, indent=None)
        return Response(text, status_code=status, media_type=JSON, headers=headers)
    data = message.SerializeToString()
    return Response(data, status_code=status, media_type=PROTOBUF, headers=headers)


def _refusal(request: Request, error: Exception) -> tuple[Response, int]:
    status = getattr(error, "status", 503)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    told = Status(code=_CODES.get(status, 2), message=str(error))
    headers = {}
    if isinstance(error, StoreUnavailableError):
        headers["Retry-After"] = str(error.retry_after)
    if status == 401:  # noqa: PLR2004 - HTTP's own number
        headers["WWW-Authenticate"] = "Bearer"
    return _write(told, JSON if kind == JSON else PROTOBUF, status, **headers), status


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
            except (IngestError, AccessError, StoreUnavailableError) as error:
                response, status = _refusal(request, error)
                counters.refused(signal, status)
            else:
                counters.accepted(signal)
            return response

        return answered


router: Final = APIRouter(prefix="/v1", route_class=OtlpRoute, include_in_schema=False)


def _committer(request: Request) -> Committer:
    committer: Committer = request.app.state.committer
    return committer


async def _off_the_loop(function: Callable[..., Any], body: bytes, *more: object) -> Any:
    if len(body) < _LARGE_BYTES:
        return function(body, *more)
    return await anyio.to_thread.run_sync(function, body, *more)


async def _commit(
    request: Request,
    grant: IngestGrant,
    check: Callable[[bytes, str, IngestGrant], Batch],
) -> tuple[Batch, str]:
    kind = content_type(request)
    body = await read_body(request)
    batch: Batch = await _off_the_loop(check, body, kind, grant)
    if batch.items:
        await _committer(request).commit(batch)
    return batch, kind


@router.post("/traces")
async def traces(request: Request, grant: Grant) -> Response:
    """Take spans; 200 means that they are on disk."""
    _, kind = await _commit(request, grant, check_traces)
    return _write(ExportTraceServiceResponse(), kind)


@router.post("/logs")
async def logs(request: Request, grant: Grant) -> Response:
    """Take log records, of which events are kept; 200 means that they are on disk."""
    batch, kind = await _commit(request, grant, check_logs)
    answer = ExportLogsServiceResponse()
    if batch.rejected:
        answer.partial_success.rejected_log_records = batch.rejected
        answer.partial_success.error_message = batch.message
    return _write(answer, kind)


@router.post("/metrics")
async def metrics(request: Request, grant: Grant) -> Response:
    """Take metrics, of which the application's own state is kept; 200 means on disk."""
    kind = content_type(request)
    found = await _off_the_loop(read_metrics, await read_body(request), kind, grant)
    await _committer(request).commit_metrics(found.rows)
    answer = ExportMetricsServiceResponse()
    if found.rejected:
        answer.partial_success.rejected_data_points = found.rejected
        answer.partial_success.error_message = found.message
    return _write(answer, kind)
