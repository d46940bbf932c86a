"""What an endpoint's answer means, and what of it may stand in a log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_chat._sdk import verdicts
from otel_chat._sdk.verdicts import address, of_answer, of_error

URL = "http://collector:4318/v1/traces"
SECRET = "sk-AbCdEf0123456789AbCdEf0123456789"


def partial(rejected: int, message: str = "") -> bytes:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = rejected
    answer.partial_success.error_message = message
    return answer.SerializeToString()


@pytest.mark.parametrize(
    ("status", "kind", "body", "reason"),
    [
        (200, "", b"", None),
        (200, "application/x-protobuf", partial(0, "a warning"), None),
        (200, "application/json", b"{}", None),
        (200, "application/json", b'{"partialSuccess": {}}', None),
        (202, "text/plain", b"ok", None),
        (200, "application/x-protobuf", partial(3), verdicts.PARTIAL),
        (
            200,
            "application/json",
            b'{"partialSuccess":{"rejectedSpans":"3"}}',
            verdicts.PARTIAL,
        ),
        (200, "text/html; charset=utf-8", b"<html>Sign in</html>", verdicts.NOT_OTLP),
        (200, "", b" <!doctype html>", verdicts.NOT_OTLP),
        (301, "", b"", verdicts.REDIRECTED),
        (307, "", b"", verdicts.REDIRECTED),
        (400, "", b"", verdicts.REFUSED),
        (401, "", b"", verdicts.UNAUTHORIZED),
        (403, "", b"", verdicts.UNAUTHORIZED),
        (404, "", b"", verdicts.WRONG_PATH),
        (405, "", b"", verdicts.WRONG_PATH),
        (413, "", b"", verdicts.TOO_LARGE),
        (415, "", b"", verdicts.REFUSED),
        (429, "", b"", verdicts.BUSY_REASON),
        (503, "", b"", verdicts.BUSY_REASON),
    ],
)
def test_an_answer_has_a_reason(status: int, kind: str, body: bytes, reason: str | None) -> None:
    """Only an answer of OTLP that refuses nothing counts as accepted; others say why, and a fix."""
    verdict = of_answer(URL, status, kind, body, "https://elsewhere/x?token=1")
    assert verdict.reason == reason
    assert bool(verdict.fix) == (reason is not None)
    assert "token=1" not in verdict.said


@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
def test_a_signal_path_in_the_endpoint_is_named(signal: str) -> None:
    """An endpoint with the path of a signal at its end: the fix says which to leave out."""
    verdict = of_answer(f"http://h/v1/{signal}/v1/traces", 404, "", b"")
    assert verdict.fix == f"the endpoint ends in /v1/{signal}: leave that out"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", f"bad token {SECRET}".encode()),
        ("application/json", f'{{"error": {{"message": "bad {SECRET}"}}}}'.encode()),
        ("application/json", f'{{"x": "Bearer {SECRET}"}}'.encode()),
        ("text/html", SECRET.encode()),
    ],
)
def test_no_answer_brings_a_secret_into_the_log(kind: str, body: bytes) -> None:
    """What a server repeats of what it was sent is redacted."""
    assert SECRET not in of_answer(URL, 401, kind, body).said


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{SECRET}@host/v1/traces",
        f"https://{SECRET}@host/v1/traces",
        f"https://host/v1/traces?api_key={SECRET}",
        f"https://host/v1/traces#{SECRET}",
        f"https://host/in/{SECRET}/v1/traces",
        f"http://[half/{SECRET}",
    ],
)
def test_an_address_in_a_log_holds_no_secret(url: str) -> None:
    """User, password, query, fragment and what looks like a token in the path are left out."""
    assert SECRET not in address(url)


def test_errors_say_what_to_do() -> None:
    """Nobody there, the port for gRPC, a certificate and silence each have their own fix."""
    assert "4318" in of_error("http://h:4317/v1/traces", ConnectionError()).fix
    assert "otel-chat serve" in of_error(URL, ConnectionError("Connection refused")).fix
    assert "CERTIFICATE" in of_error(URL, OSError("CERTIFICATE_VERIFY_FAILED")).fix
    assert of_error(URL, TimeoutError()).said == "no answer in time"


@given(st.integers(100, 599), st.text(max_size=30), st.binary(max_size=200), st.text(max_size=60))
def test_any_answer_can_be_read(status: int, kind: str, body: bytes, url: str) -> None:
    """Whatever a server answers, there is a verdict, one printable line, and no exception."""
    verdict = of_answer(url, status, kind.lower(), body, url)
    assert verdict.reason is None or verdict.reason in verdicts.REASONS
    assert verdict.said.isprintable()
    assert of_error(url, OSError(kind)).reason == verdicts.UNREACHABLE
