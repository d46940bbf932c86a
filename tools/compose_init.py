"""What `docker compose up` does first, once: tokens, configuration, and whose the volumes are.

It needs the store (`OTEL_CHAT_SERVER_STORE`) to be up, and may run again at any time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.stack.expand import MissingVariableError, expand_file, expand_rules

OWNERS: Final = {"collector": 10001, "queue": 10001, "prometheus": 65534, "alertmanager": 65534}
"""The users that the servers' images run as."""
TOKENS: Final = (
    ("collector", "ingest_token", "ingest:write", "default"),
    ("prometheus", "metrics_token", "metrics:read", "*"),
)


def make_tokens(out: Path) -> None:
    """Makes each server's token, where it has none."""
    for folder, name, scope, tenant in TOKENS:
        path = out / folder / name
        if path.exists():
            continue
        command = [sys.executable, "-m", "otel_chat.cli", "token", "create", folder]
        command.append("--without-admin")  # people make that one themselves: see docs/server.md
        store = os.environ["OTEL_CHAT_SERVER_STORE"]
        made = subprocess.run(
            [*command, "--scope", scope, "--tenant", tenant, "--store", store, "--json"],
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
    webhook = out / "alertmanager" / "webhook_url"
    webhook.touch(mode=0o600)
    webhook.write_text(os.environ.get("OTEL_CHAT_ALERT_WEBHOOK", ""))


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
    parser.add_argument("--source", type=Path, required=True, help="the folder prometheus/")
    parser.add_argument("--out", type=Path, required=True, help="the volumes, one folder each")
    given = parser.parse_args()
    try:
        make_tokens(given.out)
        write_configuration(given.source, given.out)
        if os.geteuid() == 0:
            give_away(given.out)
    except (MissingVariableError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"init: {error}")


if __name__ == "__main__":
    main()
