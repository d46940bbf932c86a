"""`otel-chat trace`: a conversation in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from otel_chat.cli.options import (
    DEFAULT_SERVER,
    JsonOption,
    ServerOption,
    TokenOption,
    errors_said,
    print_json,
)


def trace(
    conversation_id: Annotated[str, typer.Argument(help="The conversation.")],
    server: ServerOption = DEFAULT_SERVER,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a conversation's turns as trees of spans."""
    with errors_said("trace"):
        from otel_chat.client import AnalyticsClient
        from otel_chat.client.trace_tree import print_conversation, traces_of

        with AnalyticsClient(server, token=token) as client:
            conversation = client.conversation(conversation_id)
            traces = traces_of(client, conversation)
        if as_json:
            print_json({"conversation": conversation, "traces": traces})
        else:
            print_conversation(conversation, traces)
