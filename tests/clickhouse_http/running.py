"""Begins and ends it, for tests."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import clickhouse_connect

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers.

    Args:
        host: Where.
        port: Its port.
        password: Of the user `default`.
    """

    host: str
    port: int
    password: str

    def connect(self, **options: Any) -> Any:
        """A client of clickhouse-connect, closed by the caller."""
        given = {"password": self.password, "autogenerate_session_id": False, **options}
        return clickhouse_connect.get_client(
            interface="http", host=self.host, port=self.port, username="default", **given
        )

    def database(self, name: str) -> str:
        """The address of a new database as a store."""
        with contextlib.closing(self.connect()) as client:
            client.command(f"CREATE DATABASE {name}")
        secret = quote(self.password, safe="")
        return f"clickhouse://default:{secret}@{self.host}:{self.port}/{name}"


@contextlib.contextmanager
def running(folder: Path, *, password: str = "of ?/@ its own") -> Iterator[Running]:
    """A server over a folder, for as long as the block runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.clickhouse_http", "--folder", str(folder),
         "--password", password],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout
            address = urlsplit(process.stdout.readline().strip())
            assert address.hostname, f"it ended with {process.wait()}"
            assert address.port
            yield Running(address.hostname, address.port, password)
        finally:
            process.terminate()
