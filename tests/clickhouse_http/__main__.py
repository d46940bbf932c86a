"""Serves a folder until it is ended; its address is the first line that it prints."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

import uvicorn

from tests.clickhouse_http.app import MOST_URL, Interface
from tests.clickhouse_http.engine import Handles


def main() -> None:
    """Reads the command's words, and serves."""
    parser = argparse.ArgumentParser(prog="python -m tests.clickhouse_http", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="The engine's folder.")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one.")
    parser.add_argument("--user", default="default")
    parser.add_argument("--password", default="")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    # Where the engine writes a schema that came as text.
    os.chdir(given.folder)
    listening = socket.create_server(("127.0.0.1", given.port))
    handles = Handles(Path.cwd() / "engine")
    config = uvicorn.Config(
        Interface(handles, user=given.user, password=given.password),
        http="h11",
        h11_max_incomplete_event_size=2 * MOST_URL,
        # An answer that is cut off is none of its failures.
        log_level="critical",
        access_log=False,
        lifespan="off",
    )
    sys.stdout.write(f"http://127.0.0.1:{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listening])
    handles.close()


if __name__ == "__main__":
    main()
