"""What an OTLP endpoint's answer means: why telemetry was not taken, and what to do about it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from otel_chat.privacy import Redactor

MOVED: Final = frozenset({301, 302, 303, 307, 308})
GRPC_PORT: Final = 4317
SAID_LIMIT: Final = 200
SIGNAL_PATH: Final = re.compile(r"/v1/(traces|logs|metrics)(?=/)")

UNREACHABLE: Final = "unreachable"
UNAUTHORIZED: Final = "unauthorized"
WRONG_PATH: Final = "wrong_path"
REDIRECTED: Final = "redirected"
NOT_OTLP: Final = "not_otlp"
TOO_LARGE: Final = "too_large"
BUSY_REASON: Final = "unavailable"
PARTIAL: Final = "partial_success"
REFUSED: Final = "refused"
UNENCODABLE: Final = "unencodable"
GRPC: Final = "grpc"
LATE: Final = "late"
OVERFLOWN: Final = "queue_full"
REASONS: Final = (
    UNREACHABLE, UNAUTHORIZED, WRONG_PATH, REDIRECTED, NOT_OTLP, TOO_LARGE, BUSY_REASON, PARTIAL,
    REFUSED, UNENCODABLE, GRPC, LATE, OVERFLOWN,
)  # fmt: skip
"""Why telemetry was not taken: a closed set, as an attribute of a metric has to be."""

_BUSY: Final = (BUSY_REASON, "see whether the server is well")
STATUSES: Final = {
    413: (TOO_LARGE, "send less at once (OTEL_BSP_MAX_EXPORT_BATCH_SIZE)"),
    **dict.fromkeys((408, 429, 500, 502, 503, 504), _BUSY),
}

_redact: Final = Redactor(max_length=1000)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one request ended.

    Args:
        reason: One of `REASONS`; None where all of it was taken.
        said: What the other side answered, in a few words without secrets.
        fix: What to do about it.
        rejected: Items refused, where the answer counts them.
    """

    reason: str | None = None
    said: str = ""
    fix: str = ""
    rejected: int | None = None


ACCEPTED: Final = Verdict()


def address(url: str) -> str:
    """An address as it may stand in a log: without user, query, and what looks like a token.

    Example:
        >>> address("https://ada:pw@collector.example:4318/otlp/v1/traces?key=1")
        'https://collector.example:4318/otlp/v1/traces'
        >>> address("https://in.example/otlp/AbCdEf0123456789AbCdEf/v1/traces")
        'https://in.example/otlp/…/v1/traces'
    """
    parts = _split(url)
    if parts is None:
        return "an address that cannot be read"
    host = parts.netloc.rpartition("@")[2]
    path = "/".join(
        "…" if len(piece) > 16 or _redact(piece) != piece else piece  # noqa: PLR2004 - no route has
        for piece in parts.path.split("/")
    )
    return _printable(f"{parts.scheme}://{host}{path}")


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def of_error(url: str, error: BaseException) -> Verdict:
    """What it means that no answer came.

    Example:
        >>> of_error("http://127.0.0.1:4317/v1/traces", ConnectionError()).fix
        '4317 is the port for gRPC: use the one for HTTP, 4318'
    """
    kind, text = type(error).__name__, str(error)
    parts = _split(url)
    if "CERTIFICATE" in text or "SSL" in kind:
        fix = "let OTEL_EXPORTER_OTLP_CERTIFICATE name the certificate of who signed the server's"
        return Verdict(UNREACHABLE, "the certificate is not trusted", fix)
    if "Timeout" in kind or isinstance(error, TimeoutError):
        fix = "see whether the server is well, or give it longer (OTEL_EXPORTER_OTLP_TIMEOUT)"
        return Verdict(UNREACHABLE, "no answer in time", fix)
    if parts is not None and _port(parts) == GRPC_PORT:
        fix = f"{GRPC_PORT} is the port for gRPC: use the one for HTTP, 4318"
    else:
        fix = "start what takes telemetry there (`otel-chat serve`), or correct the endpoint"
    said = "nobody listens there" if "refused" in text else f"no connection ({kind})"
    if "Name or service not known" in text or "NameResolution" in text:
        said = "the host's name is not known"
    return Verdict(UNREACHABLE, said, fix)


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return None


def of_answer(url: str, status: int, kind: str, body: bytes, location: str = "") -> Verdict:
    """What an answer over HTTP means.

    Args:
        url: What was asked.
        status: The answer's status.
        kind: Its content type.
        body: What it says.
        location: Where it redirects to.

    Example:
        >>> of_answer("http://h/v1/traces/v1/traces", 404, "", b"").fix
        'the endpoint ends in /v1/traces: leave that out'
        >>> of_answer("http://h/v1/traces", 200, "text/html", b"<html>").reason
        'not_otlp'
    """
    if 200 <= status < 300:  # noqa: PLR2004 - what HTTP calls success
        return _of_success(kind, body)
    said = f"{status}{_words(kind, body)}"
    if status in {401, 403}:
        fix = (
            "send a token that may write: setup(headers={'authorization': 'Bearer ...'}) or "
            "OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer%20...'; `otel-chat token create` "
            "makes one"
        )
        return Verdict(UNAUTHORIZED, said, fix)
    if status in {404, 405, 501}:
        return Verdict(WRONG_PATH, said, _path_fix(url))
    if status in MOVED:
        elsewhere = f" (to {address(location)})" if location else ""
        return Verdict(REDIRECTED, f"{said}{elsewhere}", "give the address that it redirects to")
    reason, fix = STATUSES.get(status, (REFUSED, "see what the server says of it"))
    return Verdict(reason, said, fix)


def _path_fix(url: str) -> str:
    doubled = SIGNAL_PATH.search(url)
    if doubled:
        return f"the endpoint ends in {doubled[0]}: leave that out"
    return (
        "let the endpoint be the base URL of a receiver of OTLP over HTTP, such as "
        "http://127.0.0.1:8400, without /v1/traces"
    )


def _of_success(kind: str, body: bytes) -> Verdict:
    """Whether what reads as success took everything: a page took nothing, a refusal not all."""
    if not body:
        return ACCEPTED
    if "html" in kind or body.lstrip()[:1] == b"<":
        fix = "let the endpoint be a receiver of OTLP over HTTP: a page answers there"
        return Verdict(NOT_OTLP, "an HTML page", fix)
    try:
        rejected, message = _partial_json(body) if "json" in kind else _partial(body)
    except Exception:  # noqa: BLE001 - gateways say "ok" in many ways
        return ACCEPTED
    if rejected:
        said = f"{rejected} refused: {_short(message)}" if message else f"{rejected} refused"
        return Verdict(PARTIAL, said, "mend what it names; the rest was taken", rejected)
    return ACCEPTED


def _partial(body: bytes) -> tuple[int, str]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    # The three signals' answers are the same on the wire
    answer = ExportTraceServiceResponse.FromString(body)
    return answer.partial_success.rejected_spans, answer.partial_success.error_message


def _partial_json(body: bytes) -> tuple[int, str]:
    answer: dict[str, Any] = json.loads(body)
    partial = answer.get("partialSuccess") or {}
    count = next((int(v) for k, v in partial.items() if k.startswith("rejected")), 0)
    return count, str(partial.get("errorMessage", ""))


def _words(kind: str, body: bytes) -> str:
    """What a refusal says, where it is words."""
    text = ""
    if "html" in kind:
        text = "an HTML page"
    elif "protobuf" in kind:
        text = _status_message(body)
    elif "json" in kind:
        text = _json_message(body)
    elif kind.startswith("text/"):
        text = body[:4096].decode("utf-8", "replace")
    short = _short(text)
    return f" ({short})" if short else ""


def _json_message(body: bytes) -> str:
    """The message in it, under one of the usual names; else all of it."""
    text = body[:4096].decode("utf-8", "replace")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return text
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    return found if isinstance(found, str) else text


def _status_message(body: bytes) -> str:
    try:
        from google.rpc.status_pb2 import Status

        return str(Status.FromString(body).message)
    except Exception:  # noqa: BLE001 - no package, or no such message
        return ""


def _short(text: str) -> str:
    """One line of printable characters, redacted: an answer may repeat what it was asked."""
    return _redact(" ".join(_printable(text).split()))[:SAID_LIMIT]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
