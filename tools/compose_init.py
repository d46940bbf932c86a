"""What `docker compose up` does first, once: tokens, configuration, and whose the volumes are.

It waits for the store (`OTEL_CHAT_SERVER_STORE`), and may run again at any time.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.stack.expand import MissingVariableError, expand_file, expand_rules

OWNERS: Final = {
    "collector": 10001,
    "queue": 10001,
    "tempo": 10001,
    "prometheus": 65534,
    "alertmanager": 65534,
    "grafana": 472,
}
"""The users that the servers' images run as."""
SECRETS: Final = {
    "webhook_url": "OTEL_CHAT_ALERT_WEBHOOK",
    "watchdog_url": "OTEL_CHAT_ALERT_WATCHDOG_URL",
    "smtp_password": "OTEL_CHAT_SMTP_PASSWORD",
}
"""Files that Alertmanager reads, and whence they come."""
CREATE: Final = """
import os, sys
sys.argv += ["--store", os.environ["OTEL_CHAT_SERVER_STORE"]]
from otel_chat.cli import main
main()
"""
"""The store's address has a password, which a command line would show to everybody."""
WAIT_SECONDS: Final = 120.0
TOKENS: Final = (
    ("collector", "ingest_token", "ingest:write", "default"),
    ("prometheus", "metrics_token", "metrics:read", "*"),
    ("grafana", "analytics_token", "analytics:view", "default"),
)


def wait_for(store: str, seconds: float = WAIT_SECONDS) -> None:
    """Waits until the store's server takes connections; an embedded store has none.

    Raises:
        ValueError: it takes none; without its address, which holds a password.
    """
    address = urlsplit(store)
    if not address.hostname:
        return
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((address.hostname, address.port or 8123), 2).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise ValueError(f"The store {address.hostname} does not answer.") from error
            time.sleep(0.5)
        else:
            return


def make_tokens(out: Path) -> None:
    """Makes each server's token, where it has none."""
    for folder, name, scope, tenant in TOKENS:
        path = out / folder / name
        if path.exists():
            continue
        command = [sys.executable, "-c", CREATE, "token", "create", folder]
        command.append("--without-admin")  # people make that one themselves: see docs/server.md
        made = subprocess.run(
            [*command, "--scope", scope, "--tenant", tenant, "--json"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.loads(made.stdout)["token"])


def write_configuration(source: Path, out: Path) -> None:
    """Fills the environment into the files of Prometheus and Alertmanager, rules included."""
    for name in ("prometheus", "alertmanager"):
        expand_file(source / f"{name}.yml", out / name / f"{name}.yml", os.environ)
    expand_rules(source, out / "prometheus", os.environ)
    for name, variable in SECRETS.items():
        file = out / "alertmanager" / name
        file.touch(mode=0o600)
        file.write_text(os.environ.get(variable, ""))


def give_away(out: Path) -> None:
    """Gives each server its own files, which nobody else reads."""
    for folder, owner in OWNERS.items():
        top = out / folder
        if top.is_dir():
            for path in (top, *top.rglob("*")):
                os.chown(path, owner, owner)
            top.chmod(0o700)


def main() -> None:
    """Does all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, help="the folder prometheus/")
    parser.add_argument("--out", type=Path, help="the volumes, one folder each")
    parser.add_argument("--admin", metavar="NAME", help="make a token of all rights, and no more")
    given = parser.parse_args()
    try:
        wait_for(os.environ["OTEL_CHAT_SERVER_STORE"])
        if given.admin:
            command = [sys.executable, "-c", CREATE, "token", "create", given.admin]
            subprocess.run(
                [*command, "--scope", "admin", "--scope", "analytics:view", "--tenant", "*"],
                check=True,
            )
            return
        if given.source is None or given.out is None:
            parser.error("--source and --out are needed")
        make_tokens(given.out)
        write_configuration(given.source, given.out)
        if os.geteuid() == 0:
            give_away(given.out)
    except (MissingVariableError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"init: {error}")


if __name__ == "__main__":
    main()
