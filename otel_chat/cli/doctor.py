"""The command that follows one turn through the pipeline: `otel-chat doctor`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from otel_chat.cli.options import DEFAULT_SERVER, TokenOption, errors_said


def doctor(
    context: typer.Context,
    endpoint: Annotated[
        str | None,
        typer.Option(
            help="Where applications send, over HTTP. Default: the OTEL_EXPORTER_OTLP_*"
            " variables, else http://127.0.0.1:4318."
        ),
    ] = None,
    collector: Annotated[
        str, typer.Option(envvar="OTEL_CHAT_COLLECTOR_URL", help="The collector's health check.")
    ] = "http://127.0.0.1:13133",
    collector_metrics: Annotated[
        str,
        typer.Option(
            envvar="OTEL_CHAT_COLLECTOR_METRICS_URL", help="The page of the collector's metrics."
        ),
    ] = "http://127.0.0.1:8888/metrics",
    prometheus: Annotated[
        str, typer.Option(envvar="OTEL_CHAT_PROMETHEUS_URL", help="Prometheus.")
    ] = "http://127.0.0.1:9090",
    tempo: Annotated[
        str, typer.Option(envvar="OTEL_CHAT_TEMPO_URL", help="Tempo, as http://127.0.0.1:3200.")
    ] = "none",
    analytics: Annotated[
        str, typer.Option(envvar="OTEL_CHAT_ANALYTICS_URL", help="The analytics server.")
    ] = DEFAULT_SERVER,
    token: TokenOption = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=600, help="Seconds to wait for the turn to arrive.")
    ] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Send one marked turn and follow it hop by hop; names the hop that failed, with the fix.

    Where no collector runs and none is named, the turn goes straight to the analytics server.
    'none' leaves a server out. The turn stays, under the agent otel-chat-doctor.
    Exit code 1 if a hop failed.
    """
    with errors_said("doctor"):
        from otel_chat.doctor import Addresses, examine, straight

        addresses = Addresses(
            endpoint, collector, collector_metrics, prometheus, tempo, analytics, token
        )
        sources = {name: context.get_parameter_source(name) for name in context.params}
        named = [name for name, source in sources.items() if source and source.name != "DEFAULT"]
        found = examine(straight(addresses, named), seconds=timeout)
    if as_json:
        typer.echo(json.dumps(found.document()))
    else:
        typer.echo("\n".join(found.lines()))
    raise typer.Exit(0 if found.failed is None else 1)
