"""Writes `.env` for docker compose, with passwords made here; leaves one that is there alone."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Final

TEXT: Final = """\
# Made by `make env`. Keep it to yourself; it is not in the repository.
CLICKHOUSE_PASSWORD={clickhouse}
# Of the user `admin`, at http://127.0.0.1:3000; Grafana takes it over at its first start
GRAFANA_ADMIN_PASSWORD={grafana}
OTEL_CHAT_KEEP_KEY={key}
# Who is told: page-only, webhook, email or webhook-and-email; see prometheus/alertmanager.yml
OTEL_CHAT_ALERT_PAGE=page-only
OTEL_CHAT_ALERT_TICKET=page-only
OTEL_CHAT_ALERT_WEBHOOK=
"""


def write(path: Path) -> bool:
    """Writes the file for its owner alone; says whether it did."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(file, "w") as text:
        text.write(
            TEXT.format(
                clickhouse=secrets.token_urlsafe(24),
                grafana=secrets.token_urlsafe(24),
                key=secrets.token_urlsafe(24),
            )
        )
    return True


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ".env")
    print(f"{target} written." if write(target) else f"{target} is there already; left as it is.")
    print(f"Grafana: http://127.0.0.1:3000, user admin, GRAFANA_ADMIN_PASSWORD of {target}.")
