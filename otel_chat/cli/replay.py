"""`otel-chat replay`: backfill from transcripts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otel_chat._common.moments import first_of
from otel_chat.cli.options import JsonOption, TokenOption, errors_said


def replay(
    file: Annotated[Path, typer.Argument(help="Transcripts: JSONL, or JSONL.gz.")],
    store: Annotated[
        str | None, typer.Option(help="Bring up a server on this store for the time it runs.")
    ] = None,
    server: Annotated[str | None, typer.Option(help="Use the running server here.")] = None,
    token: TokenOption = None,
    agent: Annotated[str, typer.Option(help="Name of the agent in the transcripts.")] = "replay",
    model: Annotated[
        str, typer.Option(help="Model that wrote the replies, where it is known.")
    ] = "transcript",
    channel: Annotated[str | None, typer.Option(help="Channel of the conversations.")] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="First day (UTC) or moment for conversations without times. Default: 2026-11-09."
        ),
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=366, help="Days over which those are spread.")
    ] = 7,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N conversations.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Skip and count lines that cannot be read.")
    ] = False,
    patience: Annotated[
        float, typer.Option(min=1, help="Seconds to wait for a server that is away.")
    ] = 120.0,
    as_json: JsonOption = False,
) -> None:
    """Backfill from transcripts; replaying a file again stores it once.

    The texts are recorded. See docs/replay.md for the format.
    """
    with errors_said("replay", store=store):
        from otel_chat.replay.run import ReplayOptions, run

        first = first_of(start, "start") if start else None
        run(
            ReplayOptions(
                file=file, store=store, server=server, token=token, agent=agent, model=model,
                channel=channel, start=first, days=days, limit=limit, skip_bad=skip_bad,
                patience=patience, as_json=as_json,
            )
        )  # fmt: skip
