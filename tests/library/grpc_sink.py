"""A server that takes OTLP/gRPC and keeps what it was sent."""

from __future__ import annotations

from concurrent import futures
from typing import Any, Self

import grpc

from tests.library.otlp_sink import KINDS, Received


class GrpcSink(Received):
    """A server that takes OTLP/gRPC. Use as a context manager; `url` is where to send."""

    def __init__(self) -> None:
        self.requests = []
        self._server = grpc.server(futures.ThreadPoolExecutor(3))
        self._server.add_generic_rpc_handlers((_Exports(self.requests),))
        self.url = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()


class _Exports(grpc.GenericRpcHandler):
    """The `Export` call of each signal; an empty answer says that all was taken."""

    def __init__(self, requests: list[tuple[str, dict[str, str], Any]]) -> None:
        self._requests = requests

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        headers = dict(handler_call_details.invocation_metadata)
        signal = handler_call_details.method.split(".")[3]  # /opentelemetry.proto.collector.trace.
        path = f"/v1/{signal}{'s' if signal == 'trace' else ''}"

        def export(message: Any, context: object) -> bytes:
            self._requests.append((path, headers, message))
            return b""

        return grpc.unary_unary_rpc_method_handler(
            export, request_deserializer=KINDS[path].FromString
        )
