"""`otel-chat demo`: the example bot and its analytics."""

from __future__ import annotations

from typing import Annotated

import typer

from otel_chat.cli.options import JsonOption, errors_said


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Send the samples, print figures, end.")
    ] = False,
    as_json: JsonOption = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the analytics.")] = 8400,
    bot_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the bot.")] = 8401,
    store: Annotated[
        str | None,
        typer.Option(help="Store of the analytics. Default: chdb:./.otel-chat/demo, made anew."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep what the default store holds from before.")
    ] = False,
) -> None:
    """Run the example bot and its analytics, with sample conversations.

    Message texts are recorded here, so that the transcripts can be shown.
    """
    with errors_said("demo", store=store or "chdb:"):
        from otel_chat.demo.run import DemoOptions, run

        run(
            DemoOptions(
                once=once, as_json=as_json, port=port, bot_port=bot_port, store=store, keep=keep
            )
        )
