"""ClickHouse's HTTP interface over the embedded engine, in a process of its own.

What a served store is run against where no ClickHouse server can be had. It answers what
clickhouse-connect asks, with the engine's own SQL, formats, errors and limits. It is no server:
there is one user, nothing is replicated, `ON CLUSTER` has no cluster to run on, a query that nobody
reads is cancelled between two blocks, and `client_protocol_version` is not heard, as behind a proxy
that strips it. Only CSV, TabSeparated, JSONEachRow, RowBinary and Native flow as they are read.

    python -m tests.clickhouse_http --folder FOLDER --port 0
"""
