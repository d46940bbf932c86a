"""The first hops: whether telemetry is taken where the application sends it, and the turn."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import Final
from uuid import uuid4

import httpx
from opentelemetry import trace
from opentelemetry.util.re import parse_env_headers

import otel_chat
from otel_chat import semconv as sc
from otel_chat.config import flag
from otel_chat.doctor.addresses import SIGNALS
from otel_chat.doctor.findings import Marked, TroubleError

PROBE_SECONDS: Final = 5.0
_GRPC_PORT: Final = 4317


class UnreachableError(TroubleError):
    """Nobody takes telemetry there, which may be the application's fault or the receiver's."""


def settings_of_sdk(environ: Mapping[str, str] = os.environ) -> None:
    """Sees that the SDK is not switched off.

    Raises:
        TroubleError: it is; names the variable.

    Example:
        >>> settings_of_sdk({"OTEL_LOGS_EXPORTER": "none"})
        Traceback (most recent call last):
        otel_chat.doctor.findings.TroubleError: OTEL_LOGS_EXPORTER is none: no logs are sent
    """
    if flag(environ.get("OTEL_SDK_DISABLED", "")):
        raise TroubleError("OTEL_SDK_DISABLED is set: nothing is sent", "Unset OTEL_SDK_DISABLED.")
    for signal in SIGNALS:
        name = f"OTEL_{signal.upper()}_EXPORTER"
        if environ.get(name, "").strip().lower() == "none":
            raise TroubleError(f"{name} is none: no {signal} are sent", f"Unset {name}.")
    sampler = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    if sampler.endswith("always_off"):
        raise TroubleError(
            f"OTEL_TRACES_SAMPLER is {sampler}: no turn is recorded",
            "Unset OTEL_TRACES_SAMPLER; the collector samples what goes to Tempo.",
        )


def probe(urls: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> None:
    """Sees that every signal is taken where it is sent, by a request without content.

    Args:
        urls: The URL of each signal.
        environ: Where the headers and the certificate stand that the exporters use.

    Raises:
        UnreachableError: there is no connection.
        TroubleError: it is refused; says why.
    """
    headers = dict(parse_env_headers(environ.get("OTEL_EXPORTER_OTLP_HEADERS", ""), liberal=True))
    with httpx.Client(
        headers={**headers, "content-type": "application/x-protobuf"},
        timeout=PROBE_SECONDS,
        verify=_trust(environ.get("OTEL_EXPORTER_OTLP_CERTIFICATE")),
        trust_env=False,
    ) as http:
        for url in urls.values():
            _probe(http, url)


def _trust(certificate: str | None) -> ssl.SSLContext | bool:
    if not certificate:
        return True
    try:
        return ssl.create_default_context(cafile=certificate)
    except OSError as error:
        raise TroubleError(
            f"OTEL_EXPORTER_OTLP_CERTIFICATE ({certificate}) cannot be read ({error.strerror})",
            "Let it name the certificate of who signed the receiver's.",
        ) from error


def _probe(http: httpx.Client, url: str) -> None:
    try:
        answer = http.post(url, content=b"")
    except httpx.HTTPError as error:
        raise UnreachableError(
            f"no telemetry is taken at {url} ({_said(error)})", _cure(url, error)
        ) from error
    if answer.status_code in {401, 403}:
        raise TroubleError(
            f"{url} answers {answer.status_code}: the token is missing or not enough",
            "Put one with ingest:write into OTEL_EXPORTER_OTLP_HEADERS, as"
            " authorization=Bearer%20...; `otel-chat token create` makes it.",
        )
    if not answer.is_success:
        raise TroubleError(
            f"{url} answers {answer.status_code}",
            "Let OTEL_EXPORTER_OTLP_ENDPOINT be the base URL of an OTLP/HTTP receiver, without"
            " /v1/traces.",
        )


def _said(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__


def _cure(url: str, error: httpx.HTTPError) -> str:
    if "CERTIFICATE" in str(error):
        return (
            "Let OTEL_EXPORTER_OTLP_CERTIFICATE name the certificate of who signed the receiver's."
        )
    if httpx.URL(url).port == _GRPC_PORT:
        return "4317 is the port for gRPC; the library speaks HTTP: use 4318."
    return (
        "Start what receives telemetry there, or correct OTEL_EXPORTER_OTLP_ENDPOINT (--endpoint)."
    )


def send(endpoint: str | None, seconds: float) -> Marked:
    """Has the library make one turn with a conversation and an intent, and send it.

    Args:
        endpoint: As for `otel_chat.setup`.
        seconds: How long to wait for the receiver, more than 0.

    Raises:
        TroubleError: it was not taken.
    """
    config = otel_chat.Config.from_env().replace(keep_rate=1.0)  # so that Tempo gets it too
    otel_chat.setup(service_name=sc.DOCTOR, endpoint=endpoint, config=config)
    conversation_id = f"doctor-{uuid4().hex}"
    with (
        otel_chat.conversation(conversation_id, agent=sc.DOCTOR, channel="doctor", synthetic=True),
        otel_chat.turn(message="Is anyone there?") as turn,
    ):
        turn.intent("doctor", 1.0)
        trace_id = turn.trace_id
    if not otel_chat.flush(seconds):
        raise TroubleError(
            f"the turn was not taken within {seconds:.0f} s",
            "The line of otel_chat above says why; requests without content were taken.",
        )
    resource = getattr(trace.get_tracer_provider(), "resource", None)
    instance = "" if resource is None else str(resource.attributes.get("service.instance.id", ""))
    return Marked(conversation_id, trace_id or "", instance)
