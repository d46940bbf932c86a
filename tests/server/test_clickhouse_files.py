"""The files for ClickHouse servers: as far as they can be tried without one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from otel_chat.server.schema.migrations import render
from otel_chat.server.store import Store

FOLDER = Path(__file__).parents[2] / "exporters" / "clickhouse"
GIVEN = {
    "cluster": "otel_chat",
    "database": "chat",
    "server_sha256": "0a" * 32,
    "reader_sha256": "0b" * 32,
}


def statements() -> list[str]:
    """The statements of users.sql with everything put in."""
    text = re.sub(r"^--.*$", "", (FOLDER / "users.sql").read_text(), flags=re.MULTILINE)
    return [part.strip() for part in text.format(**GIVEN).split(";") if part.strip()]


@pytest.mark.parametrize("number", range(len(statements())))
def test_every_statement_of_the_users_is_read_by_the_engine(store: Store, number: int) -> None:
    """Roles, users, profiles, grants and the quota parse, each on the whole cluster."""
    statement = statements()[number]
    assert "ON CLUSTER 'otel_chat'" in statement
    assert store.query(f"EXPLAIN AST {statement}")


def test_the_cluster_is_the_one_that_the_tables_are_made_on() -> None:
    """The name in the file can be given as ?cluster=, and replicas copy among themselves."""
    config = yaml.safe_load((FOLDER / "cluster.yaml").read_text())
    ((name, cluster),) = config["remote_servers"].items()
    made = [text for step in render(name) for text in step.statements]
    assert any(f"ON CLUSTER '{name}'" in text for text in made)
    # Else a Distributed insert writes every replica, and they copy it once more
    assert all(shard["internal_replication"] for shard in cluster["shard"])
    assert set(config["macros"]) == {"shard", "replica"}


def test_no_secret_stands_in_the_files() -> None:
    """Secrets and places come from the environment."""
    config = yaml.safe_load((FOLDER / "cluster.yaml").read_text())
    assert config["remote_servers"]["otel_chat"]["secret"] == {
        "@from_env": "OTEL_CHAT_CLUSTER_SECRET"
    }
    assert "sha256_hash BY '{" in (FOLDER / "users.sql").read_text()
